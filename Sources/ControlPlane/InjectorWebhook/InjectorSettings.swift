internal import Foundation
public import Injector
internal import MeshModel

/// Settings of the injector.
public struct InjectorSettings: Sendable, Equatable {
    /// What an injection adds when no annotation says otherwise.
    public var values: InjectionValues
    /// Holds `tls.crt` and `tls.key`.
    public var certificateDirectory = "/var/run/linkerd/tls"
    /// The trust anchors, in PEM, that proxies are given; without the file they have no identity. Read for each pod,
    /// so that new anchors need no restart.
    public var trustRootsPath = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"
    /// Where the webhook listens; port 0 lets the system choose.
    public var host = "0.0.0.0"
    public var port = 8_443
    /// Where the admin server listens.
    public var adminHost = "0.0.0.0"
    public var adminPort = 9_995

    /// The defaults, by the name under which the injector signs its work.
    public init() {
        values = InjectionValues()
        values.createdBy = "linkerd/proxy-injector \(BuildVersion.current)"
    }

    /// The values of this moment.
    func currentValues() -> InjectionValues {
        var current = values
        // Absent: an installation without identity.
        if let anchors = try? String(contentsOfFile: trustRootsPath, encoding: .utf8), !anchors.isEmpty {
            current.trustAnchorsPEM = anchors
        }
        return current
    }
}
