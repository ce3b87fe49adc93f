import Foundation

/// The CLI's one reader of the environment.
package enum CommandEnvironment {
    /// The variable's text, `nil` when unset or empty.
    package static func string(_ key: String) -> String? {
        guard let text = ProcessInfo.processInfo.environment[key], !text.isEmpty else { return nil }
        return text
    }
}
