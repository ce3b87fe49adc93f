import Foundation

/// Where the charts and examples are.
enum DeployDirectory {
    /// The directory that is named, or the `deploy` nearest to the executable, going up.
    static func find(named name: String?) throws -> String {
        let marker = "/examples/emojivoto.yaml"
        if let name {
            guard FileManager.default.fileExists(atPath: name + marker) else {
                throw ArgumentMistake(
                    "\(name) has no examples/emojivoto.yaml; --deploy-dir takes this project's deploy directory"
                )
            }
            return name
        }
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""  // Not Linux.
        var directory = URL(fileURLWithPath: executable).deletingLastPathComponent()
        while directory.path != "/" {
            let candidate = directory.appending(path: "deploy").path
            if FileManager.default.fileExists(atPath: candidate + marker) { return candidate }
            directory.deleteLastPathComponent()
        }
        throw ArgumentMistake("no deploy directory was found above \(executable); name it with --deploy-dir")
    }
}
