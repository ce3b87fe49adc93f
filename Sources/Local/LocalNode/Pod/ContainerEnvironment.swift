package import MeshKubernetes

// A container's environment: the service variables of its namespace, then `envFrom`, then `env` in order,
// each able to refer to those before it. Fetching ConfigMaps and Secrets is the caller's, who hands in what
// the pod names.

/// Why a container's configuration cannot be built: the pod names something that is missing.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package let message: String
    package init(_ message: String) { self.message = message }
    package var description: String { message }
}

/// The objects that a pod's containers and volumes name.
package struct ReferencedObjects: Sendable {
    package var configMaps: [String: ConfigMap] = [:]
    package var secrets: [String: Secret] = [:]
    package init() {}
}

/// Builds `NAME=value` lists.
package struct ContainerEnvironment {
    private var order: [String] = []
    private var values: [String: String] = [:]

    /// - Parameter services: Those of the pod's namespace, and `default/kubernetes`.
    package init(services: [Service], linksServices: Bool, namespace: String) {
        set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        for service in services.sorted(by: { $0.key < $1.key }) {
            let isKubernetes = service.key == ObjectKey(namespace: "default", name: "kubernetes")
            if isKubernetes || (linksServices && service.metadata.namespace == namespace) {
                addVariables(of: service)
            }
        }
    }

    /// The assignments, in the order in which they were first made.
    package var assignments: [String] { order.map { "\($0)=\(values[$0] ?? "")" } }

    package subscript(_ name: String) -> String? { values[name] }

    package mutating func set(_ name: String, _ value: String) {
        if values.updateValue(value, forKey: name) == nil { order.append(name) }
    }

    private mutating func addVariables(of service: Service) {
        guard let address = service.spec?.clusterIP, !address.isEmpty, address != "None",
            let ports = service.spec?.ports, let first = ports.first
        else { return }
        let prefix = (service.metadata.name ?? "").uppercased().replacing("-", with: "_")
        set("\(prefix)_SERVICE_HOST", address)
        set("\(prefix)_SERVICE_PORT", "\(first.port)")
        for port in ports {
            if let name = port.name, !name.isEmpty {
                set("\(prefix)_SERVICE_PORT_\(name.uppercased().replacing("-", with: "_"))", "\(port.port)")
            }
        }
        set("\(prefix)_PORT", "\((first.protocol ?? "TCP").lowercased())://\(address):\(first.port)")
    }

    /// Adds `envFrom` and `env` of `container`.
    package mutating func add(
        _ container: Container, of pod: Pod, podIP: String, hostIP: String, objects: ReferencedObjects
    ) throws(ConfigurationError) {
        for source in container.envFrom ?? [] { try add(source, objects: objects) }
        for variable in container.env ?? [] {
            if let from = variable.valueFrom {
                let fields = PodFields(pod: pod, podIP: podIP, hostIP: hostIP)
                if let value = try resolve(from, container: container, fields: fields, objects: objects) {
                    set(variable.name, value)
                }
            } else {
                set(variable.name, EnvironmentExpansion.expand(variable.value ?? "") { values[$0] })
            }
        }
    }

    private mutating func add(_ source: EnvFromSource, objects: ReferencedObjects) throws(ConfigurationError)
    {
        let prefix = source.prefix ?? ""
        if let reference = source.configMapRef, let name = reference.name {
            if let map = objects.configMaps[name] {
                for (key, value) in (map.data ?? [:]).sorted(by: { $0.key < $1.key }) {
                    set(prefix + key, value)
                }
            } else if reference.optional != true {
                throw ConfigurationError("configmap \"\(name)\" not found")
            }
        }
        if let reference = source.secretRef, let name = reference.name {
            if let secret = objects.secrets[name] {
                for key in (secret.data ?? [:]).keys.sorted() {
                    set(
                        prefix + key,
                        String(decoding: VolumeContent.bytes(of: secret, key: key) ?? [], as: UTF8.self))
                }
            } else if reference.optional != true {
                throw ConfigurationError("secret \"\(name)\" not found")
            }
        }
    }

    /// `nil` when an optional reference is missing: the variable is then not set.
    private func resolve(
        _ source: EnvVarSource, container: Container, fields: PodFields, objects: ReferencedObjects
    ) throws(ConfigurationError) -> String? {
        if let field = source.fieldRef { return try fields.value(of: field.fieldPath) }
        if let field = source.resourceFieldRef { return fields.resource(field, of: container) }
        if let reference = source.configMapKeyRef {
            if let value = objects.configMaps[reference.name ?? ""]?.data?[reference.key] { return value }
            if reference.optional == true { return nil }
            throw ConfigurationError(
                "couldn't find key \(reference.key) in ConfigMap \(fields.namespace)/\(reference.name ?? "")")
        }
        if let reference = source.secretKeyRef {
            let secret = objects.secrets[reference.name ?? ""]
            if let bytes = secret.flatMap({ VolumeContent.bytes(of: $0, key: reference.key) }) {
                return String(decoding: bytes, as: UTF8.self)
            }
            if reference.optional == true { return nil }
            throw ConfigurationError(
                "couldn't find key \(reference.key) in Secret \(fields.namespace)/\(reference.name ?? "")")
        }
        return nil
    }
}
