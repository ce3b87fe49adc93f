import Foundation
import MeshKubernetes
import Testing

/// A folder that is removed afterwards.
private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kubeconfig-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }  // Left-over temporary files harm nobody.
    try body(folder)
}

private func write(_ text: String, to path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
}

@Suite("Kubeconfig", .timeLimit(.minutes(1))) struct KubeconfigTests {
    private static let sample = """
        apiVersion: v1
        kind: Config
        current-context: one
        clusters:
        - name: c1
          cluster: {server: "https://10.0.0.1:6443/", certificate-authority-data: Q0E=}
        - name: c2
          cluster: {server: "https://10.0.0.2:6443", certificate-authority: pki/ca.crt, tls-server-name: kubernetes}
        users:
        - name: u1
          user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
        - name: u2
          user: {tokenFile: token}
        - name: u3
          user: {exec: {command: aws}}
        contexts:
        - name: one
          context: {cluster: c1, user: u1, namespace: team}
        - name: two
          context: {cluster: c2, user: u2}
        - name: three
          context: {cluster: c1, user: u3}
        preferences: {}
        """

    @Test("Embedded credentials and the context's namespace are read")
    func embedded() throws {
        try withFolder { folder in
            try write(Self.sample, to: folder + "/config")
            let config = try KubernetesConfig.load(kubeconfig: folder + "/config", context: nil)
            #expect(config.server == "https://10.0.0.1:6443")
            #expect(config.caPEM == "CA")
            #expect(config.clientCertificatePEM == "CERT")
            #expect(config.clientKeyPEM == "KEY")
            #expect(config.namespace == "team")
        }
    }

    @Test("Relative paths start at the kubeconfig's folder")
    func relative() throws {
        try withFolder { folder in
            try write(Self.sample, to: folder + "/config")
            try FileManager.default.createDirectory(
                atPath: folder + "/pki", withIntermediateDirectories: true)
            try write("PEM", to: folder + "/pki/ca.crt")
            let config = try KubernetesConfig.load(kubeconfig: folder + "/config", context: "two")
            #expect(config.caPEM == "PEM")
            #expect(config.bearerTokenPath == folder + "/token")
            #expect(config.tlsServerName == "kubernetes")
            #expect(config.namespace == "default")
        }
    }

    @Test("Files of KUBECONFIG merge, the first definition of a name wins")
    func merges() throws {
        try withFolder { folder in
            try write(Self.sample, to: folder + "/second")
            try write(
                "clusters:\n- name: c1\n  cluster: {server: 'http://first:80'}\n", to: folder + "/first")
            let environment = ["KUBECONFIG": "\(folder)/first:\(folder)/absent:\(folder)/second"]
            let config = try KubernetesConfig.load(kubeconfig: nil, context: nil, environment: environment)
            #expect(config.server == "http://first:80")
            #expect(config.clientCertificatePEM == "CERT")
        }
    }

    @Test(
        "Mistakes are named",
        arguments: [("three", "plugin"), ("four", "no context four; there are: one, two, three")])
    func mistakes(context: String, text: String) throws {
        try withFolder { folder in
            try write(Self.sample, to: folder + "/config")
            let error = #expect(throws: KubernetesConfigError.self) {
                try KubernetesConfig.load(kubeconfig: folder + "/config", context: context)
            }
            #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
        }
    }

    @Test("A pod finds its service account")
    func inCluster() throws {
        try withFolder { folder in
            try write("token", to: folder + "/token")
            try write("ns\n", to: folder + "/namespace")
            let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
            let config = try KubernetesConfig.inCluster(environment: environment, serviceAccountPath: folder)
            #expect(config.server == "https://[fd00::1]:443")
            #expect(config.namespace == "ns")
            #expect(config.caPEM == nil)
            #expect(throws: KubernetesConfigError.self) {
                try KubernetesConfig.inCluster(environment: [:], serviceAccountPath: folder)
            }
        }
    }
}
