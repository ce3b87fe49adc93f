import Foundation
import GRPCCore
import Identity
import LocalAPI
import MeshAPI
import MeshKubernetes
import MeshModel
import SwiftASN1
import SwiftProtobuf
import Testing
import X509

@Suite("Identity in the local cluster", .timeLimit(.minutes(2))) struct LocalClusterTests {
    private static let name = "default.default.serviceaccount.identity.linkerd.cluster.local"

    @Test("A token requested for the mesh's audience gets a certificate; one for the API server does not")
    func tokenRequest() async throws {
        try await withDirectory { directory in
            let pki = try LocalPKI.ensure(stateDirectory: directory, now: Date())
            let server = try APIServer(
                config: APIServerConfig(
                    stateDirectory: directory, listenAddresses: [.init(host: "127.0.0.1", port: 0)]),
                logger: ControllerFixture.logger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                let port = await server.listeningPorts()[0]
                func text(_ path: String) throws -> String {
                    try String(contentsOfFile: path, encoding: .utf8)
                }
                let config = KubernetesConfig(
                    server: "https://127.0.0.1:\(port)", caPEM: try text(pki.authority.certificatePath),
                    clientCertificatePEM: try text(pki.admin.certificatePath),
                    clientKeyPEM: try text(pki.admin.keyPath))
                let client = try KubernetesClient(config: config, logger: ControllerFixture.logger)
                try await ControllerFixture.run(api: config) { fixture in
                    let good = try await Self.token(client, audiences: ["identity.l5d.io"])
                    let response = try await fixture.certify(Self.name, token: good)
                    let leaf = try Certificate(derEncoded: Array(response.leafCertificate))
                    #expect(leaf.notValidAfter == response.validUntil.date)
                    let other = try await fixture.code { try await fixture.certify(identity, token: good) }
                    #expect(other == .failedPrecondition)
                    let forged = try await fixture.code {
                        try await fixture.certify(Self.name, token: String(good.dropLast(4)) + "AAAA")
                    }
                    #expect(forged == .invalidArgument)
                    let stranger = try await Self.token(client, audiences: ["vault"])
                    let wrong = try await fixture.code {
                        try await fixture.certify(Self.name, token: stranger)
                    }
                    #expect(wrong == .invalidArgument)
                    try await eventually {
                        let events = try await client.list(Event.self, namespace: "default").items
                        return events.contains {
                            $0.reason == "IssuedLeafCertificate" && $0.involvedObject?.name == "default"
                        }
                    }
                }
                await client.shutdown()
                group.cancelAll()
            }
        }
    }

    private static func token(_ client: KubernetesClient, audiences: [String]) async throws -> String {
        let answer = try await client.raw(
            "POST", path: "/api/v1/namespaces/default/serviceaccounts/default/token",
            body: ["spec": ["audiences": .array(audiences.map { .string($0) }), "expirationSeconds": 600]])
        return answer.value(at: ["status", "token"])?.stringValue ?? ""
    }
}
