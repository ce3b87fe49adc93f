// Trust in the API server's aggregator: it says in headers who the user is, and proves with a client certificate
// that it is the one to say so. What to expect stands in a ConfigMap that every API server publishes.
// Source: `spec/viz.md` 3.2.

import MeshModel
import SwiftASN1
import X509

/// What `kube-system/extension-apiserver-authentication` says.
package struct FrontProxyTrust: Sendable, Equatable {
    package static let namespace = "kube-system"
    package static let name = "extension-apiserver-authentication"

    /// Certificates that sign the aggregator's, as PEM.
    package let clientCA: String
    /// Common names or subject alternative names; empty accepts any that the authority signed.
    package let allowedNames: [String]
    package let usernameHeader: String
    package let groupHeader: String
    package let extraPrefix: String

    /// - Returns: `nil` when the API server publishes no authority: nothing can be trusted then.
    package init?(_ data: [String: String]) {
        guard let ca = data["requestheader-client-ca-file"], !ca.isEmpty else { return nil }
        clientCA = ca
        allowedNames = Self.list(data["requestheader-allowed-names"])
        usernameHeader = Self.list(data["requestheader-username-headers"]).first ?? "X-Remote-User"
        groupHeader = Self.list(data["requestheader-group-headers"]).first ?? "X-Remote-Group"
        extraPrefix = Self.list(data["requestheader-extra-headers-prefix"]).first ?? "X-Remote-Extra-"
    }

    /// A JSON list of texts; anything else is empty.
    private static func list(_ text: String?) -> [String] {
        // Absent or not JSON: the defaults hold.
        guard let text, let value = try? JSONValue(parsing: text) else { return [] }
        return (value.arrayValue ?? []).compactMap(\.stringValue)
    }

    /// Whether a certificate that the authority signed is the aggregator's.
    package func allows(certificateDER: [UInt8]) -> Bool {
        guard !allowedNames.isEmpty else { return true }
        // One that cannot be read names nobody.
        guard let certificate = try? Certificate(derEncoded: certificateDER) else { return false }
        return !Self.names(certificate).isDisjoint(with: allowedNames)
    }

    private static func names(_ certificate: Certificate) -> Set<String> {
        var names: Set<String> = []
        for attribute in certificate.subject.flatMap({ $0 })
        where attribute.type == ASN1ObjectIdentifier.NameAttributes.commonName {
            names.insert(String(describing: attribute.value))
        }
        // A certificate without the extension, or with one that cannot be read, has its common name.
        guard let alternatives = try? certificate.extensions.subjectAlternativeNames else { return names }
        for name in alternatives {
            if case .dnsName(let text) = name { names.insert(text) }
        }
        return names
    }

    /// The user that the aggregator vouches for; `nil` when it names none.
    package func user(_ headers: [(name: String, value: String)]) -> TapUser? {
        var user = TapUser(name: "")
        for header in headers {
            let name = header.name.lowercased()
            if name == usernameHeader.lowercased() {
                user.name = header.value
            } else if name == groupHeader.lowercased() {
                user.groups.append(header.value)
            } else if name.hasPrefix(extraPrefix.lowercased()) {
                let key = String(name.dropFirst(extraPrefix.count)).removingPercentEscapes
                user.extra[key, default: []].append(header.value)
            }
        }
        return user.name.isEmpty ? nil : user
    }
}
