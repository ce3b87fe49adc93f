import Foundation

/// The built pages, held in memory: what is not in this table cannot be asked for.
package struct AssetStore: Sendable {
    /// One file and how to send it.
    package struct Asset: Sendable, Equatable {
        /// As it is.
        package let bytes: [UInt8]
        /// Compressed when the build made a smaller twin.
        package let gzipped: [UInt8]?
        /// MIME type with its character set.
        package let contentType: String
        /// Strong validator of the content.
        package let etag: String
        /// Whether the name changes with the content, so that a browser need never ask again.
        package let isImmutable: Bool
    }

    /// A build beyond this is a mistake; it would sit in memory.
    package static let totalBytesMax = 32 << 20

    private let assets: [String: Asset]

    /// No assets: every page says how to build them.
    package static let empty = AssetStore(assets: [:])

    /// Assets by path, such as `/assets/main.css`.
    package init(assets: [String: Asset]) {
        self.assets = assets
    }

    /// Reads a folder made by `deploy/build-web`.
    package init(directory: String) throws {
        let root = URL(fileURLWithPath: directory, isDirectory: true)
        var files: [String: [UInt8]] = [:]
        var total = 0
        for path in try FileManager.default.subpathsOfDirectory(atPath: directory).sorted() {
            let url = root.appendingPathComponent(path)
            guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
            let bytes = [UInt8](try Data(contentsOf: url))
            total += bytes.count
            guard total <= Self.totalBytesMax else {
                throw DashboardError(.upstream, "\(directory) is larger than a dashboard can be")
            }
            files["/" + path] = bytes
        }
        var assets: [String: Asset] = [:]
        for (path, bytes) in files where !path.hasSuffix(".gz") {
            assets[path] = Asset(path: path, bytes: bytes, gzipped: files[path + ".gz"])
        }
        self.assets = assets
    }

    /// The asset at a path, if any.
    package subscript(path: String) -> Asset? { assets[path] }

    /// The page that every route of the browser starts from.
    package var index: Asset? { assets["/index.html"] }

    /// The folder `web` beside the executable, or `.build/web` in a folder above it.
    package static func locate(executable: String) -> String? {
        var folder = URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
        let beside = folder.appendingPathComponent("web")
        if hasIndex(beside) { return beside.path }
        while folder.path != "/", !folder.path.isEmpty {
            let built = folder.appendingPathComponent(".build/web")
            if hasIndex(built) { return built.path }
            folder = folder.deletingLastPathComponent()
        }
        return nil
    }

    private static func hasIndex(_ folder: URL) -> Bool {
        FileManager.default.fileExists(atPath: folder.appendingPathComponent("index.html").path)
    }
}

extension AssetStore.Asset {
    /// Derives everything from the path and the content.
    package init(path: String, bytes: [UInt8], gzipped: [UInt8]?) {
        let etag = "\"\(String(Self.fingerprint(bytes), radix: 36))-\(bytes.count)\""
        self.init(
            bytes: bytes, gzipped: gzipped, contentType: Self.contentType(of: path), etag: etag,
            isImmutable: path.hasPrefix("/assets/"))
    }

    /// FNV-1a, 64 bits: tells builds apart, protects nothing.
    private static func fingerprint(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private static func contentType(of path: String) -> String {
        switch path.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        case "json", "map": "application/json"
        case "txt": "text/plain; charset=utf-8"
        default: "application/octet-stream"
        }
    }
}
