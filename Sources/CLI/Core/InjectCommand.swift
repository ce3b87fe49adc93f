package import ArgumentParser
import Foundation
import Injector

/// `linkerd inject`: adds the proxy to workloads in a manifest.
package struct InjectCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "inject",
        abstract: "Add the Linkerd proxy to Kubernetes workloads.",
        discussion: """
            Reads manifests from files, directories or standard input (-), and writes them to standard output.

            Example: linkerd inject --manual deploy/examples/emojivoto.yaml | kubectl apply -f -
            """)

    @Flag(help: "Write the whole proxy into the manifest.")
    var manual = false

    @Argument(help: "Manifest files, directories, or - for standard input.", completion: .file())
    var paths: [String]

    package init() {}

    package func validate() throws {
        if !manual {
            throw ValidationError(
                "automatic injection needs the proxy-injector, which this version does not install yet; use --manual")
        }
    }

    package func run() throws {
        try ManifestTransform.run(paths, failureWord: "inject") { text in
            try ProxyInjection(values: InjectionValues()).injectYAML(text)
        }
    }
}

/// `linkerd uninject`: takes the proxy out of a manifest again.
package struct UninjectCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "uninject", abstract: "Remove the Linkerd proxy from a Kubernetes manifest.")

    @Argument(help: "Manifest files, directories, or - for standard input.", completion: .file())
    var paths: [String]

    package init() {}

    package func run() throws {
        try ManifestTransform.run(paths, failureWord: "uninject") { text in
            try ProxyInjection(values: InjectionValues()).uninjectYAML(text)
        }
    }
}

/// Reads manifests, transforms them, writes documents to standard output and the report to standard error.
enum ManifestTransform {
    static func run(
        _ paths: [String], failureWord: String, _ transform: (String) throws -> (yaml: String, report: [InjectionReport])
    ) throws {
        do {
            var report: [InjectionReport] = []
            for path in paths {
                for text in try read(path) {
                    let result = try transform(text)
                    Terminal.write(result.yaml)
                    report += result.report
                }
            }
            Terminal.say(report.rendered())
        } catch {
            Terminal.say("Error transforming resources:\nfailed to \(failureWord): \(error)")
            throw ExitCode(1)
        }
    }

    private static func read(_ path: String) throws -> [String] {
        if path == "-" {
            let bytes = try FileHandle.standardInput.readToEnd() ?? Data()
            return [String(decoding: bytes, as: UTF8.self)]
        }
        guard FileManager.default.fileExists(atPath: path) else {
            throw ArgumentMistake("the path \"\(path)\" does not exist")
        }
        let isDirectory = try URL(filePath: path).resourceValues(forKeys: [.isDirectoryKey]).isDirectory ?? false
        guard isDirectory else { return [try String(contentsOfFile: path, encoding: .utf8)] }
        let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        let manifests = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") || $0.hasSuffix(".json") }
        return try manifests.map { try String(contentsOfFile: path + "/" + $0, encoding: .utf8) }
    }
}
