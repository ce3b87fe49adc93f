import MeshTLS

/// The key and request of this process.
enum IdentityRequest {
    /// Reads what Linkerd's container wrote beside the trust anchors, or makes both in memory when nothing is
    /// there: the key then never touches a disk.
    static func make(_ config: IdentityConfig) throws(CertificateError) -> KeyAndCSR {
        guard !config.directory.isEmpty else { return try .generate(identity: config.localName) }
        do throws(CertificateError) {
            return try .load(directory: config.directory)
        } catch {
            guard error.kind == .unreadable else { throw error }
            return try .generate(identity: config.localName)
        }
    }
}
