import Foundation
import Identity
import Testing

@Suite("Issuer store", .timeLimit(.minutes(1))) struct IssuerStoreTests {
    private let now = Date()

    private func run(_ body: (IssuerStore, IssuerVolume, IssuerCredentials) async throws -> Void) async throws
    {
        try await withDirectory { directory in
            let volume = IssuerVolume(directory: directory)
            let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
            try volume.writeAnchors(credentials.trustAnchorPEM)
            try volume.write(credentials)
            var settings = IdentitySettings()
            settings.issuerPath = volume.issuerPath
            settings.trustAnchorsPath = volume.anchorsPath
            try await body(IssuerStore(settings: settings, now: now), volume, credentials)
        }
    }

    @Test("A bad change is reported once, and forgotten when the files are put back")
    func reportedOnce() async throws {
        try await run { store, volume, credentials in
            #expect(await store.reload(at: now) == .unchanged)
            try volume.write(certificate: "rubbish", key: credentials.issuerKeyPEM)
            guard case .skipped = await store.reload(at: now) else {
                Issue.record("not skipped")
                return
            }
            #expect(await store.reload(at: now) == .stillSkipped)
            try volume.write(credentials)
            #expect(await store.reload(at: now) == .unchanged)
            try volume.write(certificate: "rubbish", key: credentials.issuerKeyPEM)
            guard case .skipped = await store.reload(at: now) else {
                Issue.record("not skipped")
                return
            }
        }
    }

    @Test("Files that vanish leave the issuer in use")
    func vanished() async throws {
        try await run { store, volume, credentials in
            try FileManager.default.removeItem(atPath: volume.issuerPath)
            guard case .skipped = await store.reload(at: now) else {
                Issue.record("not skipped")
                return
            }
            _ = try await store.verifiedIssuer(at: now)
            try volume.write(credentials)
            #expect(await store.reload(at: now) == .unchanged)
        }
    }

    @Test("An issuer that is not valid yet is taken when its time comes")
    func tooEarly() async throws {
        try await run { store, volume, credentials in
            let next = try secondIssuer(below: credentials, from: now + 600, to: now + 3_600)
            try volume.write(certificate: next.certificate, key: next.key)
            guard case .skipped = await store.reload(at: now) else {
                Issue.record("not skipped")
                return
            }
            #expect(await store.reload(at: now) == .stillSkipped)
            guard case .updated = await store.reload(at: now + 601) else {
                Issue.record("not updated")
                return
            }
        }
    }

    @Test("Without a usable issuer or anchor there is no store")
    func unusable() async throws {
        try await withDirectory { directory in
            let volume = IssuerVolume(directory: directory)
            let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
            let stranger = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
            var settings = IdentitySettings()
            settings.issuerPath = volume.issuerPath
            settings.trustAnchorsPath = volume.anchorsPath
            let chosen = settings
            await #expect(throws: IdentityError.self) { try await IssuerStore(settings: chosen, now: now) }
            try volume.writeAnchors(credentials.trustAnchorPEM)
            await #expect(throws: IdentityError.self) { try await IssuerStore(settings: chosen, now: now) }
            try volume.write(stranger)
            await #expect(throws: IdentityError.self) { try await IssuerStore(settings: chosen, now: now) }
            try volume.write(credentials)
            _ = try await IssuerStore(settings: chosen, now: now)
        }
    }

    @Test("Plain files, without a Secret volume's links, work too")
    func plainFiles() async throws {
        try await withDirectory { directory in
            let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
            try credentials.trustAnchorPEM.write(toFile: directory + "/ca", atomically: true, encoding: .utf8)
            try credentials.issuerCertificatePEM.write(
                toFile: directory + "/tls.crt", atomically: true, encoding: .utf8)
            try credentials.issuerKeyPEM.write(
                toFile: directory + "/tls.key", atomically: true, encoding: .utf8)
            var settings = IdentitySettings()
            settings.scheme = .kubernetes
            settings.issuerPath = directory
            settings.trustAnchorsPath = directory + "/ca"
            let store = try await IssuerStore(settings: settings, now: now)
            #expect(store.issuer.notAfter == credentials.notAfter)
        }
    }
}
