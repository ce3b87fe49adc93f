import Crypto
import Foundation
import Identity
import SwiftASN1
import Testing
import X509

private let now = Date(timeIntervalSince1970: 1_800_000_000)

/// An issuer below a root, and a certificate that it issued.
private func issue(
    _ credentials: IssuerCredentials, at date: Date = now, lifetime: Duration = .seconds(86_400),
    _ change: (inout RequestRecipe) throws -> Void = { _ in }
) async throws -> IssuedCertificate {
    let issuer = try Issuer(
        certificatePEM: credentials.issuerCertificatePEM, keyPEM: credentials.issuerKeyPEM)
    let request = try SigningRequest(der: goodRequest(change), identity: identity)
    return try await issuer.verified(by: TrustAnchors(pem: credentials.trustAnchorPEM), at: date)
        .issue(
            for: request, at: date, lifetime: lifetime, skew: .seconds(20),
            serial: Certificate.SerialNumber(UInt64(7)))
}

/// An authority with any properties.
private func authority(
    key: P256.Signing.PrivateKey, isAuthority: Bool = true, from: Date = now - 60, to: Date = now + 3_600,
    usage: KeyUsage = KeyUsage(keyCertSign: true)
) throws -> Certificate {
    let name = try DistinguishedName { CommonName("identity.linkerd.cluster.local") }
    return try Certificate(
        version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey), notValidBefore: from,
        notValidAfter: to, issuer: name, subject: name,
        extensions: try Certificate.Extensions {
            Critical(
                isAuthority
                    ? BasicConstraints.isCertificateAuthority(maxPathLength: nil)
                    : BasicConstraints.notCertificateAuthority)
            Critical(usage)
        },
        issuerPrivateKey: .init(key))
}

@Suite("Issuer", .timeLimit(.minutes(2))) struct IssuerTests {
    @Test("A leaf has the extensions of Linkerd's and no right to sign")
    func leaf() async throws {
        let issued = try await issue(IssuerCredentials.make(trustDomain: "cluster.local", now: now))
        let leaf = try Certificate(derEncoded: issued.leaf)
        #expect(leaf.subject.isEmpty)
        #expect(leaf.notValidBefore == now - 20)
        #expect(leaf.notValidAfter == now + 86_400 + 20)
        #expect(issued.validUntil == leaf.notValidAfter)
        #expect(leaf.signatureAlgorithm == .ecdsaWithSHA256)
        #expect(leaf.serialNumber == Certificate.SerialNumber(UInt64(7)))
        let names = try #require(leaf.extensions[oid: .X509ExtensionID.subjectAlternativeName])
        #expect(names.critical)  // The subject is empty.
        #expect(try Array(SubjectAlternativeNames(names)) == [.dnsName(identity)])
        #expect(
            try leaf.extensions.keyUsage == KeyUsage(digitalSignature: true, keyEncipherment: true))
        #expect(try leaf.extensions.extendedKeyUsage.map(Array.init) == [.serverAuth, .clientAuth])
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
        #expect(issued.fingerprint.count == 64)
    }

    @Test("Nothing that a request asks for besides its name is granted")
    func noAuthority() async throws {
        let issued = try await issue(IssuerCredentials.make(trustDomain: "cluster.local", now: now)) {
            $0.extraExtensions = [
                try .init(BasicConstraints.isCertificateAuthority(maxPathLength: nil), critical: true)
            ]
            $0.subject = try DistinguishedName {
                OrganizationName("system:masters")
                CommonName(identity)
            }
        }
        let leaf = try Certificate(derEncoded: issued.leaf)
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
        #expect(leaf.subject == (try DistinguishedName { CommonName(identity) }))
    }

    @Test("A leaf never outlives the path above it")
    func clamp() async throws {
        let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
        let issued = try await issue(credentials, at: credentials.notAfter - 600)
        #expect(issued.validUntil == credentials.notAfter)
        let long = try await issue(credentials, lifetime: .seconds(10 * 365 * 86_400))
        #expect(long.validUntil == credentials.notAfter)
    }

    @Test("An issuer is refused outside its validity, and below an anchor that is not its own")
    func verification() async throws {
        let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
        let strangers = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
        let issuer = try Issuer(
            certificatePEM: credentials.issuerCertificatePEM, keyPEM: credentials.issuerKeyPEM)
        let own = try TrustAnchors(pem: credentials.trustAnchorPEM)
        let other = try TrustAnchors(pem: strangers.trustAnchorPEM)
        let both = try TrustAnchors(pem: strangers.trustAnchorPEM + credentials.trustAnchorPEM)
        _ = try await issuer.verified(by: both, at: now)
        for (anchors, date) in [
            (own, credentials.notAfter + 1), (own, now - 3_600), (other, now),
        ] {
            await #expect {
                try await issuer.verified(by: anchors, at: date)
            } throws: {
                ($0 as? IdentityError)?.kind == .issuerInvalid
            }
        }
    }

    @Test("One certificate may be anchor and issuer, as Linkerd's CLI makes it")
    func selfSigned() async throws {
        let key = P256.Signing.PrivateKey()
        let text = pem(try encoded(authority(key: key)))
        let issuer = try Issuer(certificatePEM: text, keyPEM: key.pemRepresentation)
        let verified = try await issuer.verified(by: TrustAnchors(pem: text), at: now)
        #expect(verified.notAfter == now + 3_600)
    }

    @Test("Files that make no issuer are refused")
    func badFiles() async throws {
        let key = P256.Signing.PrivateKey()
        let other = P256.Signing.PrivateKey()
        let good = pem(try encoded(authority(key: key)))
        let leaf = pem(try encoded(authority(key: key, isAuthority: false)))
        let noSigning = pem(try encoded(authority(key: key, usage: KeyUsage(digitalSignature: true))))
        let p384 = P384.Signing.PrivateKey()
        for (certificate, keyPEM) in [
            ("", key.pemRepresentation), ("rubbish", key.pemRepresentation), (good, ""), (good, good),
            (good, other.pemRepresentation), (leaf, key.pemRepresentation),
            (noSigning, key.pemRepresentation),
            (good, p384.pemRepresentation), (good, key.pemRepresentation + "\n" + key.pemRepresentation),
            (key.pemRepresentation, key.pemRepresentation),
        ] {
            #expect {
                try Issuer(certificatePEM: certificate, keyPEM: keyPEM)
            } throws: {
                ($0 as? IdentityError)?.kind == .configuration
            }
        }
    }

    @Test("Keys are read as openssl writes them")
    func keyFormats() async throws {
        try await withDirectory { directory in
            try openSSL("ecparam", "-name", "prime256v1", "-genkey", "-out", "sec1.pem", in: directory)
            try openSSL("pkcs8", "-topk8", "-nocrypt", "-in", "sec1.pem", "-out", "pkcs8.pem", in: directory)
            try openSSL(
                "req", "-x509", "-new", "-key", "sec1.pem", "-subj", "/CN=identity.linkerd.cluster.local",
                "-days",
                "2", "-addext", "basicConstraints=critical,CA:TRUE", "-out", "crt.pem", in: directory)
            let certificate = try String(contentsOfFile: directory + "/crt.pem", encoding: .utf8)
            for file in ["sec1.pem", "pkcs8.pem"] {
                let keyPEM = try String(contentsOfFile: directory + "/" + file, encoding: .utf8)
                let issuer = try Issuer(certificatePEM: certificate, keyPEM: keyPEM)
                _ = try await issuer.verified(by: TrustAnchors(pem: certificate), at: Date())
            }
        }
    }

    @Test(
        "Anchors may have RSA keys of two sizes, besides P-256",
        arguments: [(2_048, true), (3_072, false), (4_096, true)])
    func rsaAnchor(bits: Int, isAccepted: Bool) async throws {
        try await withDirectory { directory in
            try openSSL(
                "req", "-x509", "-newkey", "rsa:\(bits)", "-nodes", "-sha256", "-subj", "/CN=root", "-days",
                "2",
                "-keyout", "root.key", "-out", "root.crt", in: directory)
            let text = try String(contentsOfFile: directory + "/root.crt", encoding: .utf8)
            #expect(((try? TrustAnchors(pem: text)) != nil) == isAccepted)
            guard isAccepted else { return }
            try openSSL("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "i.key", in: directory)
            try openSSL("req", "-new", "-key", "i.key", "-subj", "/CN=issuer", "-out", "i.csr", in: directory)
            try "basicConstraints=critical,CA:TRUE\n".write(
                toFile: directory + "/ext", atomically: true, encoding: .utf8)
            try openSSL(
                "x509", "-req", "-in", "i.csr", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial",
                "-days",
                "2", "-sha256", "-extfile", "ext", "-out", "i.crt", in: directory)
            let issuer = try Issuer(
                certificatePEM: String(contentsOfFile: directory + "/i.crt", encoding: .utf8),
                keyPEM: String(contentsOfFile: directory + "/i.key", encoding: .utf8))
            _ = try await issuer.verified(by: TrustAnchors(pem: text), at: Date())
        }
    }

    @Test("An anchor bundle that is empty or holds a key is refused")
    func badAnchors() throws {
        for text in ["", "rubbish", P256.Signing.PrivateKey().pemRepresentation] {
            #expect {
                try TrustAnchors(pem: text)
            } throws: {
                ($0 as? IdentityError)?.kind == .configuration
            }
        }
    }

    @Test("openssl verifies what was issued, as server and as client, under its name")
    func openSSLVerifies() async throws {
        let date = Date()
        let credentials = try IssuerCredentials.make(trustDomain: "example.com", now: date)
        let issued = try await issue(credentials, at: date)
        try await withDirectory { directory in
            func write(_ text: String, _ file: String) throws {
                try text.write(toFile: directory + "/" + file, atomically: true, encoding: .utf8)
            }
            try write(credentials.trustAnchorPEM, "anchor.pem")
            try write(issued.intermediates.map(pem).joined(), "chain.pem")
            try write(pem(issued.leaf), "leaf.pem")
            for purpose in ["sslserver", "sslclient"] {
                let output = try openSSL(
                    "verify", "-x509_strict", "-CAfile", "anchor.pem", "-untrusted", "chain.pem", "-purpose",
                    purpose,
                    "-verify_hostname", identity, "leaf.pem", in: directory)
                #expect(output.contains("leaf.pem: OK"))
            }
            #expect(throws: OpenSSLFailed.self) {
                try openSSL(
                    "verify", "-CAfile", "anchor.pem", "-untrusted", "chain.pem", "-verify_hostname",
                    "admin.shop",
                    "leaf.pem", in: directory)
            }
            let text = try openSSL(
                "x509", "-in", "anchor.pem", "-noout", "-subject", "-nameopt", "RFC2253", in: directory)
            #expect(text.contains("CN=root.linkerd.example.com"))
            let issuer = try openSSL(
                "x509", "-in", "chain.pem", "-noout", "-subject", "-nameopt", "RFC2253", in: directory)
            #expect(issuer.contains("CN=identity.linkerd.example.com"))
        }
    }

    @Test("New credentials are good for a year, and their keys fit")
    func credentials() async throws {
        let credentials = try IssuerCredentials.make(trustDomain: "cluster.local", now: now)
        #expect(credentials.notAfter == now + 365 * 86_400)
        let anchor = try Certificate(pemEncoded: credentials.trustAnchorPEM)
        #expect(anchor.notValidAfter == credentials.notAfter)
        let key = try Certificate.PrivateKey(pemEncoded: credentials.trustAnchorKeyPEM)
        #expect(key.publicKey == anchor.publicKey)
    }
}
