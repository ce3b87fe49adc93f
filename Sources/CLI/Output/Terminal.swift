import Foundation

/// Where commands write. Data goes to standard output, everything said to a person to standard error.
package enum Terminal {
    /// Whether standard output is a terminal, which can be drawn on in place.
    package static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Writes text to standard output as it is.
    package static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    /// Writes a line to standard error.
    package static func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
