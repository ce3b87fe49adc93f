import Foundation
import Identity
import Testing

@Suite("Serving certificates, looked at", .timeLimit(.minutes(1))) struct ServingCertificateFactsTests {
    private static let name = "tap.linkerd-viz.svc"
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private static func problem(
        _ made: ServingCredentials, trusting authorities: String? = nil, serving name: String = name, after seconds: TimeInterval = 0
    ) throws -> String? {
        let facts = try ServingCertificateFacts(
            certificatePEM: made.certificatePEM, authoritiesPEM: authorities ?? made.authorityPEM)
        return facts.problem(serving: name, at: now + seconds)
    }

    @Test("Ours are taken by callers that trust their authority, alone or among others")
    func taken() throws {
        let made = try ServingCredentials.make(name: Self.name, now: Self.now)
        let other = try ServingCredentials.make(name: Self.name, now: Self.now)
        #expect(try Self.problem(made) == nil)
        #expect(try Self.problem(made, trusting: other.authorityPEM + made.authorityPEM) == nil)
    }

    @Test("Why a caller would not take one")
    func refused() throws {
        let made = try ServingCredentials.make(name: Self.name, now: Self.now)
        // The same name, another key.
        let other = try ServingCredentials.make(name: Self.name, now: Self.now)
        #expect(try Self.problem(made, trusting: other.authorityPEM)?.contains("not signed by an authority") == true)
        #expect(try Self.problem(made, serving: "web.linkerd-viz.svc") == "certificate is not for web.linkerd-viz.svc")
        #expect(try Self.problem(made, after: 366 * 86_400)?.contains("not valid anymore") == true)
        #expect(try Self.problem(made, after: -86_400)?.contains("not valid before") == true)
    }

    @Test("What is no certificate is said to be none")
    func unreadable() throws {
        let made = try ServingCredentials.make(name: Self.name, now: Self.now)
        #expect(throws: IdentityError.self) { try ServingCertificateFacts(certificatePEM: "", authoritiesPEM: made.authorityPEM) }
        #expect(throws: IdentityError.self) {
            try ServingCertificateFacts(certificatePEM: made.certificatePEM, authoritiesPEM: "-----BEGIN CERTIFICATE-----\nxx\n")
        }
    }
}
