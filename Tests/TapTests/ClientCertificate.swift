import Crypto
import Foundation
import SwiftASN1
import Tap
import X509

/// A client's certificate under an authority of its own, as an API server's aggregator has.
enum ClientCertificate {
    static func make(name: String) throws -> ServingPair {
        let authorityKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let key = P256.Signing.PrivateKey()
        let (start, end) = (Date.now.addingTimeInterval(-60), Date.now.addingTimeInterval(3_600))
        let issuer = try DistinguishedName { CommonName("front-proxy-ca") }
        let authority = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: authorityKey.publicKey, notValidBefore: start, notValidAfter: end,
            issuer: issuer, subject: issuer,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            }, issuerPrivateKey: authorityKey)
        let leaf = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: Certificate.PrivateKey(key).publicKey, notValidBefore: start,
            notValidAfter: end, issuer: issuer, subject: try DistinguishedName { CommonName(name) },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.clientAuth])
            }, issuerPrivateKey: authorityKey)
        return ServingPair(
            certificate: try leaf.serializeAsPEM().pemString, key: key.pemRepresentation,
            authority: try authority.serializeAsPEM().pemString)
    }
}
