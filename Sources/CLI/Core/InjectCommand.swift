package import ArgumentParser
import Foundation
import Injector
import MeshKubernetes

/// `linkerd inject`: adds the proxy to workloads in a manifest.
package struct InjectCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "inject",
        abstract: "Add the Linkerd proxy to Kubernetes workloads.",
        discussion: """
            Reads manifests from files, directories or standard input (-), and writes them to standard output.
            Workloads and namespaces are annotated, and the proxy injector adds the proxy when pods are made. With
            --manual the whole proxy is written instead: the trust anchors come from the cluster; with
            --ignore-cluster the proxies have no identity, and their traffic is not encrypted.

            Example: linkerd inject deploy/examples/emojivoto.yaml | kubectl apply -f -
            """)

    @Flag(help: "Write the whole proxy into the manifest.")
    var manual = false

    @Flag(help: "Annotate with linkerd.io/inject: ingress.")
    var ingress = false

    @Flag(help: "Use the defaults, without identity, instead of the cluster's values.")
    var ignoreCluster = false

    @OptionGroup var global: GlobalOptions

    @Argument(help: "Manifest files, directories, or - for standard input.", completion: .file())
    var paths: [String]

    package init() {}

    package func validate() throws {
        if manual, ingress { throw ValidationError("--ingress is for the injector; with --manual annotate the pods yourself") }
    }

    package func run() async throws {
        guard manual else {
            let mode = ingress ? "ingress" : "enabled"
            let annotation = ProxyInjection(values: InjectionValues())
            return try ManifestTransform.run(paths, failureWord: "inject") { text in
                try annotation.annotateYAML(text, mode: mode)
            }
        }
        let injection = ProxyInjection(values: try await values())
        try ManifestTransform.run(paths, failureWord: "inject") { text in try injection.injectYAML(text) }
    }

    private func values() async throws -> InjectionValues {
        var values = InjectionValues()
        values.controlPlaneNamespace = try global.controlPlaneNamespace()
        guard !ignoreCluster else { return values }
        do {
            let client = try KubernetesClient(config: try global.kubernetesConfig(), logger: global.logger)
            do {
                let credentials = MeshCredentials(client: client, namespace: values.controlPlaneNamespace)
                values.trustAnchorsPEM = try await credentials.trustAnchors()
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        } catch {
            Terminal.say("cannot read the cluster's trust anchors: \(error)\nuse --ignore-cluster to inject without identity")
            throw ExitCode(1)
        }
        guard values.trustAnchorsPEM != nil else {
            Terminal.say(
                "ConfigMap \(MeshCredentials.trustRootsConfigMap) is not in namespace \(values.controlPlaneNamespace): "
                    + "install Linkerd first, or use --ignore-cluster to inject without identity")
            throw ExitCode(1)
        }
        return values
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
