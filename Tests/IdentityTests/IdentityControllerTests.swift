import Foundation
import GRPCCore
import Identity
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel
import SwiftASN1
import SwiftProtobuf
import Testing
import X509

@Suite("Identity controller", .timeLimit(.minutes(3))) struct IdentityControllerTests {
    private static let username = "system:serviceaccount:shop:web"

    /// A controller against an API server that accepts the token `good`.
    private func run(
        configure: @escaping @Sendable (inout IdentitySettings) -> Void = { _ in },
        _ body: @escaping @Sendable (ControllerFixture, FakeReviews) async throws -> Void
    ) async throws {
        try await FakeReviews.run { fake, url in
            fake.accept("good", username: Self.username)
            try await ControllerFixture.run(api: .init(server: url), configure: configure) { fixture in
                try await body(fixture, fake)
            }
        }
    }

    @Test("A proxy gets a certificate that verifies, its issuer, and the end of its validity")
    func certify() async throws {
        try await run { fixture, fake in
            let response = try await fixture.certify()
            let leaf = try Certificate(derEncoded: Array(response.leafCertificate))
            let issuer = try Certificate(pemEncoded: fixture.credentials.issuerCertificatePEM)
            #expect(
                try response.intermediateCertificates.map { try Certificate(derEncoded: Array($0)) } == [
                    issuer
                ])
            #expect(issuer.publicKey.isValidSignature(leaf.signature, for: leaf))
            #expect(response.validUntil.date == leaf.notValidAfter)
            let seconds = leaf.notValidAfter.timeIntervalSinceNow
            #expect((86_000...86_420).contains(seconds))
            #expect(fake.reviews == [["token": "good", "audiences": ["identity.l5d.io"]]])
        }
    }

    @Test("Two certificates never share a serial number")
    func serials() async throws {
        try await run { fixture, _ in
            var serials: Set<[UInt8]> = []
            for _ in 0..<5 {
                let leaf = try await fixture.certify().leafCertificate
                serials.insert(Array(try Certificate(derEncoded: Array(leaf)).serialNumber.bytes))
            }
            #expect(serials.count == 5)
        }
    }

    @Test("An incomplete request is an invalid argument, and the API server is not asked")
    func incomplete() async throws {
        try await run { fixture, fake in
            #expect(
                try await fixture.code { try await fixture.certify("", request: goodRequest()) }
                    == .invalidArgument)
            #expect(try await fixture.code { try await fixture.certify(token: "") } == .invalidArgument)
            #expect(try await fixture.code { try await fixture.certify(request: []) } == .invalidArgument)
            #expect(
                try await fixture.code { try await fixture.certify(request: [48, 0]) } == .invalidArgument)
            let long = String(repeating: "a", count: 70_000)
            #expect(try await fixture.code { try await fixture.certify(token: long) } == .invalidArgument)
            let binary = try await fixture.code {
                try await fixture.client.certify(
                    .with {
                        $0.identity = identity
                        $0.token = Data([0xFF, 0xFE])
                        $0.certificateSigningRequest = Data(try goodRequest())
                    })
            }
            #expect(binary == .invalidArgument)
            #expect(fake.reviews.isEmpty)
        }
    }

    @Test("A signing request for more than the identity is a failed precondition")
    func refusedRequests() async throws {
        try await run { fixture, fake in
            let codes: [SigningRequestError.Defect: RPCError.Code] = [
                .tooLarge: .invalidArgument, .malformed: .invalidArgument, .signature: .invalidArgument,
                .extensions: .invalidArgument, .keyType: .internalError,
            ]
            for vector in RequestVector.all where vector.name != "empty" {
                let code = try await fixture.code { try await fixture.certify(request: vector.make()) }
                #expect(code == codes[vector.defect] ?? .failedPrecondition, "\(vector.name)")
            }
            #expect(fake.reviews.isEmpty)
        }
    }

    @Test("What a token review says decides the code")
    func tokens() async throws {
        try await run { fixture, fake in
            fake.answer("faulty", .init(review: ["authenticated": false, "error": "token has expired"]))
            fake.answer("broken", .init(status: 500, review: [:]))
            fake.answer("forbidden", .init(status: 403, review: [:]))
            fake.accept("node", username: "system:node:worker-1")
            fake.accept("person", username: "alice")
            fake.accept("dotted", username: "system:serviceaccount:shop:web.shop")
            fake.accept("other", username: "system:serviceaccount:shop:admin")
            fake.accept("elsewhere", username: "system:serviceaccount:web:shop")
            let expected: [(String, RPCError.Code)] = [
                ("unknown", .failedPrecondition), ("faulty", .invalidArgument), ("broken", .internalError),
                ("forbidden", .internalError), ("node", .invalidArgument), ("person", .invalidArgument),
                ("dotted", .invalidArgument), ("other", .failedPrecondition),
                ("elsewhere", .failedPrecondition),
            ]
            for (token, code) in expected {
                #expect(
                    try await fixture.code { try await fixture.certify(token: token) } == code, "\(token)")
            }
            let metrics = try await fixture.text()
            #expect(metrics.contains("identity_cert_issued_total 0\n"))
            #expect(metrics.contains(#"identity_cert_refused_total{reason="invalid_token"} 4"#))
            #expect(metrics.contains(#"identity_cert_refused_total{reason="identity_mismatch"} 2"#))
            #expect(metrics.contains(#"identity_cert_refused_total{reason="not_authenticated"} 1"#))
            #expect(metrics.contains(#"identity_cert_refused_total{reason="review_failed"} 2"#))
        }
    }

    @Test("A token for the API server, as 2.11 sends it, is reviewed again without an audience")
    func plainToken() async throws {
        let error = "[invalid bearer token, token audiences [\"https://kubernetes.default.svc\"] is invalid]"
        try await run { fixture, fake in
            fake.answer(
                "plain",
                .init(
                    review: ["authenticated": false, "error": .string(error)],
                    withoutAudience: FakeReviews.accepted(Self.username)))
            _ = try await fixture.certify(token: "plain")
            #expect(
                fake.reviews == [["token": "plain", "audiences": ["identity.l5d.io"]], ["token": "plain"]])
        }
    }

    @Test("Certificates are counted and told to Kubernetes")
    func metricsAndEvents() async throws {
        try await run { fixture, fake in
            let leaf = try await fixture.certify().leafCertificate
            _ = try await fixture.code { try await fixture.certify(token: "unknown") }
            let metrics = try await fixture.text()
            #expect(metrics.contains("identity_cert_issued_total 1\n"))
            let labels =
                #"grpc_method="Certify",grpc_service="io.linkerd.proxy.identity.Identity",grpc_type="unary""#
            #expect(metrics.contains("grpc_server_started_total{\(labels)} 2\n"))
            #expect(metrics.contains("grpc_server_handled_total{grpc_code=\"OK\",\(labels)} 1\n"))
            #expect(
                metrics.contains("grpc_server_handled_total{grpc_code=\"FailedPrecondition\",\(labels)} 1\n"))
            let line = metrics.split(separator: "\n").first { $0.hasPrefix("issuer_cert_ttl_seconds ") }
            let ttl = try #require(line.flatMap { Int($0.split(separator: " ")[1]) })
            #expect((31_535_900...31_536_000).contains(ttl))
            #expect(try await fixture.text("/ready") == "ok\n")
            try await eventually { fake.events.count == 1 }
            let event = try #require(fake.events.first)
            #expect(event["reason"] == "IssuedLeafCertificate")
            #expect(event["type"] == "Normal")
            #expect(event.value(at: ["metadata", "namespace"]) == "shop")
            #expect(event.value(at: ["involvedObject", "kind"]) == "ServiceAccount")
            #expect(event.value(at: ["involvedObject", "name"]) == "web")
            let issued = try #require(event["message"]?.stringValue)
            #expect(issued.contains(identity) && issued.contains("until"))
            #expect(!leaf.isEmpty)
        }
    }

    @Test("A new issuer takes over when its files change; a bad one does not, and the old one stays")
    func reload() async throws {
        try await run { fixture, fake in
            let volume = fixture.volume
            // An issuer that the anchors do not know.
            let stranger = try IssuerCredentials.make(trustDomain: "cluster.local", now: Date())
            try volume.write(stranger)
            try await eventually {
                try await fixture.text().contains(#"identity_issuer_reload_total{result="skipped"} 1"#)
            }
            #expect(try await issuer(of: fixture) == fixture.credentials.issuerCertificatePEM)
            // The same issuer with a half-written key.
            try volume.write(certificate: fixture.credentials.issuerCertificatePEM, key: "-----BEGIN")
            try await eventually {
                try await fixture.text().contains(#"identity_issuer_reload_total{result="skipped"} 2"#)
            }
            // Another issuer below the same root.
            let next = try secondIssuer(below: fixture.credentials)
            try volume.write(certificate: next.certificate, key: next.key)
            try await eventually {
                try await fixture.text().contains(#"identity_issuer_reload_total{result="updated"} 1"#)
            }
            #expect(try await issuer(of: fixture) == next.certificate)
            try await eventually { fake.events.count >= 5 }
            let reasons = fake.events.compactMap { $0["reason"]?.stringValue }
            #expect(
                reasons == [
                    "IssuerUpdateSkipped", "IssuedLeafCertificate", "IssuerUpdateSkipped", "IssuerUpdated",
                    "IssuedLeafCertificate",
                ])
            let event = fake.events[0]
            #expect(event.value(at: ["involvedObject", "kind"]) == "Deployment")
            #expect(event.value(at: ["involvedObject", "name"]) == "linkerd-identity")
            #expect(event.value(at: ["metadata", "namespace"]) == "linkerd")
        }
    }

    /// PEM of the issuer that signs now.
    private func issuer(of fixture: ControllerFixture) async throws -> String {
        let response = try await fixture.certify()
        return pem(Array(try #require(response.intermediateCertificates.first)))
    }

    @Test("An expired issuer issues nothing, and says so")
    func expired() async throws {
        try await run { fixture, fake in
            fixture.clock.advance(400 * 86_400)
            #expect(try await fixture.code { try await fixture.certify() } == .unavailable)
            try await eventually {
                fake.events.contains { $0["reason"] == "IssuerValidationFailed" && $0["type"] == "Warning" }
            }
            #expect(try await fixture.text().contains("issuer_cert_ttl_seconds -"))
            #expect(fake.reviews.isEmpty)
        }
    }

    @Test("Files in the scheme of cert-manager are read")
    func kubernetesScheme() async throws {
        try await run(configure: { $0.scheme = .kubernetes }) { fixture, _ in
            _ = try await fixture.certify()
        }
    }

    @Test("Lifetime, skew, namespace and trust domain are as the flags say")
    func settings() async throws {
        try await run(configure: {
            $0.controllerNamespace = "mesh"
            $0.trustDomain = "example.com"
            $0.issuanceLifetime = .seconds(600)
            $0.clockSkewAllowance = .seconds(5)
        }) { fixture, _ in
            let name = "web.shop.serviceaccount.identity.mesh.example.com"
            let response = try await fixture.certify(name)
            let leaf = try Certificate(derEncoded: Array(response.leafCertificate))
            #expect(leaf.notValidAfter.timeIntervalSince(leaf.notValidBefore) == 610)
            #expect(try await fixture.code { try await fixture.certify() } == .failedPrecondition)
        }
    }

    @Test("Without the right to review tokens, or with an impossible name, the controller does not start")
    func startup() async throws {
        await #expect {
            try await FakeReviews.run { fake, url in
                fake.forbid()
                try await ControllerFixture.run(api: .init(server: url)) { _ in
                    Issue.record("the controller serves")
                }
            }
        } throws: {
            ($0 as? IdentityError)?.kind == .configuration
        }
        await #expect {
            try await FakeReviews.run { _, url in
                try await ControllerFixture.run(
                    api: .init(server: url), configure: { $0.controllerNamespace = "a.b" }
                ) { _ in Issue.record("the controller serves") }
            }
        } throws: {
            ($0 as? IdentityError)?.kind == .configuration
        }
    }
}
