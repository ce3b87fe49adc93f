internal import SwiftASN1
internal import X509

/// Reads certificates and keys from PEM files, which may hold several blocks.
enum PEM {
    /// A file longer than this is not one of ours.
    static let bytesMax = 1 << 20

    /// Every certificate of a file, in its order; other blocks are an error.
    static func certificates(_ text: String, in file: String) throws(IdentityError) -> [Certificate] {
        do {
            return try documents(text).map { try Certificate(pemDocument: $0) }
        } catch {
            throw IdentityError(.configuration, "\(file) is not a PEM file of certificates: \(error)")
        }
    }

    /// The one key of a file, in any usual encoding. Curve parameters, which OpenSSL likes to put before the
    /// key, are read past.
    static func privateKey(_ text: String, in file: String) throws(IdentityError) -> Certificate.PrivateKey {
        // The library's error might quote the text, which is secret.
        guard let blocks = try? documents(text).filter({ $0.discriminator != "EC PARAMETERS" }),
            blocks.count == 1, let key = try? Certificate.PrivateKey(pemDocument: blocks[0])
        else { throw IdentityError(.configuration, "\(file) is not a PEM file of one private key") }
        return key
    }

    private static func documents(_ text: String) throws -> [PEMDocument] {
        guard text.utf8.count <= bytesMax else { throw IdentityError(.configuration, "too large") }
        return try PEMDocument.parseMultiple(pemString: text)
    }
}
