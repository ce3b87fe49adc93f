import COpenSSL

/// An ECDSA key on P-256, in memory only; freed once, and wiped by OpenSSL then.
///
/// `@unchecked Sendable`: OpenSSL counts references to a key atomically, and signing does not change it.
@safe public final class PrivateKey: @unchecked Sendable {
    // SAFETY: owned by self, freed in deinit.
    let key: OpaquePointer

    /// Makes a new key.
    ///
    /// - Throws: `library` when there is no randomness or memory.
    public static func generate() throws(CertificateError) -> PrivateKey {
        _ = Library.isLoaded
        guard let key = unsafe mesh_generate_p256() else {
            Library.clearErrors()
            throw CertificateError(.library)
        }
        return unsafe PrivateKey(adopting: key)
    }

    /// Reads an unencrypted PKCS#8 key in DER, as `key.p8` holds it.
    ///
    /// - Throws: `malformed`, or `keyType` when it is not on P-256.
    public convenience init(pkcs8 bytes: [UInt8]) throws(CertificateError) {
        let parsed: OpaquePointer? = unsafe withReadBIO(bytes) { bio in unsafe d2i_PrivateKey_bio(bio, nil) }
        unsafe try self.init(parsed: parsed)
    }

    /// Reads the first private key of a PEM text; it must not be encrypted.
    ///
    /// - Throws: As `init(pkcs8:)`.
    public convenience init(pem text: String) throws(CertificateError) {
        let parsed: OpaquePointer? = unsafe withReadBIO(Array(text.utf8)) { bio in
            // A callback that gives no password keeps OpenSSL from asking the terminal.
            unsafe PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
        }
        unsafe try self.init(parsed: parsed)
    }

    private convenience init(parsed: OpaquePointer?) throws(CertificateError) {
        _ = Library.isLoaded
        Library.clearErrors()
        guard let key = unsafe parsed else { throw CertificateError(.malformed) }
        guard unsafe isP256(key) else {
            unsafe EVP_PKEY_free(key)
            throw CertificateError(.keyType)
        }
        unsafe self.init(adopting: key)
    }

    private init(adopting key: OpaquePointer) { unsafe self.key = key }

    deinit { unsafe EVP_PKEY_free(key) }
}

private func isP256(_ key: OpaquePointer) -> Bool {
    guard unsafe EVP_PKEY_get_base_id(key) == EVP_PKEY_EC else { return false }
    // SAFETY: OpenSSL writes at most the array's count, with a zero at the end.
    var name = [CChar](repeating: 0, count: 64)
    var count = 0
    let isNamed = unsafe name.withUnsafeMutableBufferPointer { buffer in
        unsafe EVP_PKEY_get_group_name(key, buffer.baseAddress, buffer.count, &count) == 1
    }
    return isNamed && name.prefix(count).map { UInt8(bitPattern: $0) } == Array("prime256v1".utf8)
}
