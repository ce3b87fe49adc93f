import Crypto
import Foundation
import Identity
import SwiftASN1
import Testing
import X509

/// A request with one defect; the name says which.
struct RequestVector: Sendable, CustomTestStringConvertible {
    let name: String
    let defect: SigningRequestError.Defect
    let make: @Sendable () throws -> [UInt8]
    var testDescription: String { name }

    init(
        _ name: String, _ defect: SigningRequestError.Defect, _ make: @escaping @Sendable () throws -> [UInt8]
    ) {
        self.name = name
        self.defect = defect
        self.make = make
    }
}

extension RequestVector {
    static let all: [RequestVector] = malformed + names + others

    private static let malformed: [RequestVector] = [
        .init("empty", .malformed) { [] },
        .init("truncated-by-one-byte", .malformed) { try goodRequest().dropLast() },
        .init("trailing-byte", .malformed) { try goodRequest() + [0] },
        .init("pem-instead-of-der", .malformed) {
            Array(PEMDocument(type: "CERTIFICATE REQUEST", derBytes: try goodRequest()).pemString.utf8)
        },
        .init("nested-a-thousand-deep", .malformed) {
            var der: [UInt8] = []
            for depth in 1...1_000 {
                let length = 4_000 - 4 * depth
                der += [0x30, 0x82, UInt8(length >> 8), UInt8(length & 255)]
            }
            return der
        },
        .init("too-large", .tooLarge) {
            try goodRequest {
                $0.extraExtensions = [
                    .init(oid: [1, 2, 3], critical: false, value: Array(repeating: 7, count: 16_384)[...])
                ]
            }
        },
        .init("signature-bit-flipped", .signature) {
            var der = try goodRequest()
            der[der.count - 1] ^= 1
            return der
        },
        .init("signed-by-another-key", .signature) {
            let mine = P256.Signing.PrivateKey()
            let theirs = P256.Signing.PrivateKey()
            var recipe = RequestRecipe()
            recipe.key = .init(mine)
            let good = try CertificateSigningRequest(derEncoded: recipe.der())
            recipe.key = .init(theirs)
            let other = try CertificateSigningRequest(derEncoded: recipe.der())
            return try encoded(
                CertificateSigningRequest(
                    version: .v1, subject: other.subject, publicKey: other.publicKey,
                    attributes: other.attributes, signatureAlgorithm: good.signatureAlgorithm,
                    signature: good.signature))
        },
        .init("two-sets-of-extensions", .extensions) { try goodRequest { $0.extensionSetCount = 2 } },
        .init("names-not-a-sequence", .extensions) {
            try goodRequest {
                $0.names = []
                $0.extraExtensions = [.init(oid: [2, 5, 29, 17], critical: false, value: [4, 1, 0])]
            }
        },
    ]

    private static let names: [RequestVector] = [
        .init("no-name", .nameMissing) { try goodRequest { $0.names = [] } },
        .init("no-extension-request", .nameMissing) {
            try goodRequest {
                $0.names = []
                $0.extensionSetCount = 0
            }
        },
        .init("name-twice", .nameRepeated) {
            try goodRequest { $0.names = [.dnsName(identity), .dnsName(identity)] }
        },
        .init("second-name", .nameRepeated) {
            try goodRequest { $0.names = [.dnsName(identity), .dnsName("admin.shop")] }
        },
        .init("other-name-only", .nameOther) { try goodRequest { $0.names = [.dnsName("admin.shop")] } },
        .init("upper-case-name", .nameOther) {
            try goodRequest { $0.names = [.dnsName(identity.uppercased())] }
        },
        .init("trailing-dot", .nameOther) { try goodRequest { $0.names = [.dnsName(identity + ".")] } },
        .init("zero-byte-in-name", .nameOther) {
            try goodRequest { $0.names = [.dnsName(identity + "\0.evil.example")] }
        },
        .init("wildcard", .nameOther) {
            try goodRequest { $0.names = [.dnsName("*.shop.serviceaccount.identity.linkerd.cluster.local")] }
        },
        .init("email-besides", .emailName) {
            try goodRequest { $0.names.append(.rfc822Name("root@example.com")) }
        },
        .init("address-besides", .addressName) {
            try goodRequest { $0.names.append(.ipAddress(ASN1OctetString(contentBytes: [10, 0, 0, 1]))) }
        },
        .init("uri-besides", .uriName) {
            try goodRequest {
                $0.names.append(.uniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/admin"))
            }
        },
        .init("uri-only", .uriName) {
            try goodRequest { $0.names = [.uniformResourceIdentifier("spiffe://cluster.local/x")] }
        },
        .init("directory-name-besides", .otherName) {
            try goodRequest {
                $0.names.append(.directoryName(try DistinguishedName { CommonName("admin") }))
            }
        },
        .init("registered-id-besides", .otherName) {
            try goodRequest { $0.names.append(.registeredID([1, 2, 3])) }
        },
    ]

    private static let others: [RequestVector] = [
        .init("other-common-name", .commonNameOther) {
            try goodRequest { $0.subject = try DistinguishedName { CommonName("admin") } }
        },
        .init("second-common-name", .commonNameOther) {
            try goodRequest {
                $0.subject = try DistinguishedName {
                    CommonName(identity)
                    CommonName("admin")
                }
            }
        },
        .init("common-name-not-text", .commonNameOther) {
            try goodRequest {
                $0.subject = DistinguishedName([
                    RelativeDistinguishedName(
                        .init(
                            type: .RDNAttributeType.commonName,
                            value: .init(asn1Any: try ASN1Any(erasing: 7))))
                ])
            }
        },
        .init("p384-key", .keyType) { try goodRequest { $0.key = .init(P384.Signing.PrivateKey()) } },
        .init("p521-key", .keyType) { try goodRequest { $0.key = .init(P521.Signing.PrivateKey()) } },
        .init("ed25519-key", .keyType) {
            try goodRequest { $0.key = .init(Curve25519.Signing.PrivateKey()) }
        },
    ]
}

@Suite("Signing request", .timeLimit(.minutes(2))) struct SigningRequestTests {
    @Test("A request with a defect is refused for it", arguments: RequestVector.all)
    func refused(vector: RequestVector) throws {
        let der = try vector.make()
        #expect(throws: SigningRequestError(vector.defect)) {
            try SigningRequest(der: der, identity: identity)
        }
    }

    @Test("Every defect has a vector")
    func isComplete() {
        #expect(Set(RequestVector.all.map(\.defect)) == Set(SigningRequestError.Defect.allCases))
        #expect(Set(RequestVector.all.map(\.name)).count == RequestVector.all.count)
    }

    @Test("A request for the one name is granted, with and without the name in its subject")
    func granted() throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let plain = try SigningRequest(der: goodRequest { $0.key = key }, identity: identity)
        #expect(plain.publicKey == key.publicKey)
        #expect(!plain.hasCommonName)
        let named = try SigningRequest(
            der: goodRequest { $0.subject = try DistinguishedName { CommonName(identity) } },
            identity: identity)
        #expect(named.hasCommonName)
        let empty = try SigningRequest(
            der: goodRequest { $0.subject = try DistinguishedName { CommonName("") } }, identity: identity)
        #expect(!empty.hasCommonName)
    }

    @Test("Extensions that are asked for besides the name do not stand in the way")
    func otherExtensions() throws {
        let der = try goodRequest {
            $0.extraExtensions = [
                try .init(BasicConstraints.isCertificateAuthority(maxPathLength: nil), critical: true),
                try .init(KeyUsage(keyCertSign: true), critical: true),
            ]
        }
        #expect(try SigningRequest(der: der, identity: identity).identity == identity)
    }

    @Test("A request made by openssl is granted")
    func openSSLRequest() async throws {
        try await withDirectory { directory in
            try openSSL("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "k.pem", in: directory)
            try openSSL(
                "req", "-new", "-key", "k.pem", "-subj", "/CN=\(identity)", "-addext",
                "subjectAltName=DNS:\(identity)", "-outform", "DER", "-out", "csr.der", in: directory)
            let der = try Data(contentsOf: URL(fileURLWithPath: directory + "/csr.der"))
            #expect(try SigningRequest(der: Array(der), identity: identity).hasCommonName)
        }
    }

    @Test("Damage never crashes the parser, and is never granted", arguments: [UInt64(1), 2, 3])
    func mutations(seed: UInt64) throws {
        var random = SeededRandom(state: seed)
        let good = try goodRequest()
        for round in 0..<500 {
            var der = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<der.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: der[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1: der.remove(at: place)
                default: der.insert(UInt8.random(in: .min ... .max, using: &random), at: place)
                }
            }
            guard der != good else { continue }
            let granted = try? SigningRequest(der: der, identity: identity)
            #expect(granted == nil, "seed \(seed) round \(round)")
        }
    }
}
