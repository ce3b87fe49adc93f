import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// The verified certificate that a client presented: the common name is the user, organizations are groups.
struct ClientCertificate: Sendable {
    let user: UserIdentity

    /// The certificate of a connection; `nil` when the client showed none. TLS has verified it already.
    static func of(_ channel: any Channel) async throws -> ClientCertificate? {
        let presented = try await channel.nioSSL_peerCertificate().get()
        guard let presented else { return nil }
        return try ClientCertificate(der: presented.toDERBytes())
    }

    init?(der: [UInt8]) throws {
        let certificate = try Certificate(derEncoded: der)
        var name: String?
        var groups = ["system:authenticated"]
        for relativeName in certificate.subject {
            for attribute in relativeName {
                let text = attribute.value.description
                if attribute.type == .RDNAttributeType.commonName { name = text }
                if attribute.type == .RDNAttributeType.organizationName { groups.append(text) }
            }
        }
        guard let name else { return nil }
        user = UserIdentity(name: name, groups: groups)
    }
}
