internal import Foundation

/// The two files of an issuer, read together.
struct IssuerFiles: Sendable {
    /// What both files held at one moment.
    struct Contents: Sendable, Equatable {
        let certificatePEM: String
        let keyPEM: String
    }

    let directory: String
    let scheme: IdentitySettings.Scheme

    /// Reads both files.
    ///
    /// A Secret volume is changed by pointing the link `..data` at a new directory. Following the link once,
    /// for both files, never mixes the key of one version with the certificate of another.
    func read() throws(IdentityError) -> Contents {
        let link = directory + "/..data"
        // Not a link: plain files in the directory.
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
        let base = target.map { $0.hasPrefix("/") ? $0 : directory + "/" + $0 } ?? directory
        let names = scheme.fileNames
        return Contents(
            certificatePEM: try Self.text(of: base + "/" + names.certificate),
            keyPEM: try Self.text(of: base + "/" + names.key))
    }

    /// A file's text.
    static func text(of path: String) throws(IdentityError) -> String {
        do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw IdentityError(.configuration, "cannot read \(path)")
        }
    }
}
