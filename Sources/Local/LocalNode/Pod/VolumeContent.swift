internal import Foundation
package import MeshKubernetes

/// A file of a volume.
package struct VolumeFile: Sendable, Hashable {
    package var bytes: [UInt8]
    package var mode: UInt32
}

/// The files of ConfigMap, Secret, downward API and projected volumes, as a map from relative path to
/// content.
package enum VolumeContent {
    static let modeDefault: UInt32 = 0o644

    /// The decoded value of a Secret's key.
    package static func bytes(of secret: Secret, key: String) -> [UInt8]? {
        guard let text = secret.data?[key], let data = Data(base64Encoded: text) else { return nil }
        return [UInt8](data)
    }

    /// The value of a ConfigMap's key, text or binary.
    static func bytes(of map: ConfigMap, key: String) -> [UInt8]? {
        if let text = map.data?[key] { return Array(text.utf8) }
        return map.binaryData?[key].flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
    }

    /// Files of a ConfigMap: all keys, or those of `items` at their paths.
    package static func files(
        of map: ConfigMap?, named name: String, items: [KeyToPath]?, defaultMode: Int?, isOptional: Bool
    ) throws(ConfigurationError) -> [String: VolumeFile] {
        guard let map else {
            if isOptional { return [:] }
            throw ConfigurationError("configmap \"\(name)\" not found")
        }
        let keys = Array((map.data ?? [:]).keys) + Array((map.binaryData ?? [:]).keys)
        return try select(
            keys: keys, items: items, defaultMode: defaultMode, isOptional: isOptional,
            missing: { "configmap references non-existent config key: \($0)" },
            bytes: { bytes(of: map, key: $0) })
    }

    /// Files of a Secret, likewise.
    package static func files(
        of secret: Secret?, named name: String, items: [KeyToPath]?, defaultMode: Int?, isOptional: Bool
    ) throws(ConfigurationError) -> [String: VolumeFile] {
        guard let secret else {
            if isOptional { return [:] }
            throw ConfigurationError("secret \"\(name)\" not found")
        }
        return try select(
            keys: Array((secret.data ?? [:]).keys), items: items, defaultMode: defaultMode,
            isOptional: isOptional,
            missing: { "references non-existent secret key: \($0)" }, bytes: { bytes(of: secret, key: $0) })
    }

    private static func select(
        keys: [String], items: [KeyToPath]?, defaultMode: Int?, isOptional: Bool, missing: (String) -> String,
        bytes: (String) -> [UInt8]?
    ) throws(ConfigurationError) -> [String: VolumeFile] {
        let mode = defaultMode.map(UInt32.init) ?? modeDefault
        var files: [String: VolumeFile] = [:]
        guard let items, !items.isEmpty else {
            for key in keys { files[key] = VolumeFile(bytes: bytes(key) ?? [], mode: mode) }
            return files
        }
        for item in items {
            guard let content = bytes(item.key) else {
                if isOptional { continue }
                throw ConfigurationError(missing(item.key))
            }
            files[item.path] = VolumeFile(bytes: content, mode: item.mode.map(UInt32.init) ?? mode)
        }
        return files
    }

    /// Files of a downward API volume.
    package static func files(
        of items: [DownwardAPIVolumeFile], fields: PodFields, defaultMode: Int?
    ) throws(ConfigurationError) -> [String: VolumeFile] {
        var files: [String: VolumeFile] = [:]
        for item in items {
            let text: String
            if let field = item.fieldRef {
                text = try fields.value(of: field.fieldPath)
            } else if let field = item.resourceFieldRef {
                text = fields.resource(field, of: Container())
            } else {
                continue
            }
            let mode = (item.mode ?? defaultMode).map(UInt32.init) ?? modeDefault
            files[item.path] = VolumeFile(bytes: Array(text.utf8), mode: mode)
        }
        return files
    }

    /// Whether a path stays inside its volume.
    package static func isContained(_ path: String) -> Bool {
        !path.isEmpty && !path.hasPrefix("/") && !path.split(separator: "/").contains("..")
    }
}
