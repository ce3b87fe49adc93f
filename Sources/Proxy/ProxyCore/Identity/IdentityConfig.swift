// What the proxy is told about itself: `LINKERD2_PROXY_IDENTITY_*` (`spec/proxy.md` 2.6).

package import MeshTLS
package import MeshWire
package import NIOCore

/// Who this proxy is to be, and where its certificates come from.
package struct IdentityConfig: Sendable {
    /// The name in the certificate: `<sa>.<ns>.serviceaccount.identity.<control plane>.<trust domain>`.
    package var localName: String
    /// The server name that peers ask for; the local name, unless told otherwise.
    package var serverName: String
    /// What peers' certificates must chain to.
    package var trustAnchors: TrustAnchors
    /// A directory with `key.p8` and `csr.der`, as Linkerd's container writes them; used when both are there.
    package var directory: String
    /// The ServiceAccount token, read again for every certificate.
    package var tokenFile: String
    /// `host:port` of the identity controller.
    package var address: Authority
    /// Who the controller must be; empty only on loopback, where the connection is in plaintext.
    package var controllerName: String
    /// Bounds of the time between two certificates.
    package var minRefresh: TimeAmount
    package var maxRefresh: TimeAmount

    package init(
        localName: String, serverName: String, trustAnchors: TrustAnchors, directory: String, tokenFile: String,
        address: Authority, controllerName: String, minRefresh: TimeAmount, maxRefresh: TimeAmount
    ) {
        self.localName = localName
        self.serverName = serverName
        self.trustAnchors = trustAnchors
        self.directory = directory
        self.tokenFile = tokenFile
        self.address = address
        self.controllerName = controllerName
        self.minRefresh = minRefresh
        self.maxRefresh = maxRefresh
    }
}

/// This proxy's name and the certificates it shows; one for all loops.
package struct ProxyIdentity: Sendable {
    /// The name in our certificate.
    package let localName: String
    /// The server name for which TLS ends here.
    package let serverName: String
    /// What new connections use; empty until the first certificate.
    package let contexts: TLSContextCell

    package init(localName: String, serverName: String, contexts: TLSContextCell) {
        self.localName = localName
        self.serverName = serverName
        self.contexts = contexts
    }
}

extension Authority {
    /// Whether the host is this machine, where nothing between could listen.
    package var isLoopback: Bool {
        host == "localhost" || host == "localhost." || host.hasPrefix("127.") || host == "::1" || host == "[::1]"
    }
}
