// Arrows point from a room to Base only; rooms meet on the wire. Imports say what a target really uses, so
// they are what is checked, not the manifest.

import Foundation
import Testing

@Suite("Arrows", .timeLimit(.minutes(1))) struct ArrowTests {
    /// Targets by room, read from the folders.
    private static func targets(in room: String) -> Set<String> {
        let path = SourceTree.root.appending(path: "Sources/\(room)").path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []  // No such room: no targets.
        return Set(names.filter { !$0.contains(".") })
    }

    private static func imports(of file: SourceFile) -> [String] {
        file.lines.compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index <= 1, index + 1 < words.count else { return nil }
            return String(words[index + 1])
        }
    }

    private static let rooms = ["Proxy", "ControlPlane", "Viz", "Demo"]

    /// Targets that other rooms may use because they are pure.
    private static let pure: Set<String> = ["Injector", "MeshRollup", "ProxyInit"]

    @Test("Proxy, ControlPlane, Viz and the demo never import one another", arguments: rooms)
    func roomsAreApart(room: String) {
        let others = Self.rooms.filter { $0 != room }.map(Self.targets).reduce(Set(), { $0.union($1) }).subtracting(Self.pure)
        #expect(!Self.targets(in: room).isEmpty)
        for file in SourceTree.swiftSources where file.path.hasPrefix("Sources/\(room)/") {
            for name in Self.imports(of: file) where others.contains(name) {
                Issue.record("\(file.path) imports \(name) of another room: meet on the wire, or move the noun to Base")
            }
        }
    }

    @Test("Base imports no room")
    func baseIsBelow() {
        let rooms = (Self.rooms + ["Local"]).map(Self.targets).reduce(Set(), { $0.union($1) })
        for file in SourceTree.swiftSources where file.path.hasPrefix("Sources/Base/") {
            for name in Self.imports(of: file) where rooms.contains(name) {
                Issue.record("\(file.path) imports \(name): Base is below every room")
            }
        }
    }

    @Test("Inbound and outbound never import each other")
    func directionsAreApart() {
        for file in SourceTree.swiftSources {
            if file.path.contains("/ProxyInbound/") { #expect(!Self.imports(of: file).contains("ProxyOutbound"), "\(file.path)") }
            if file.path.contains("/ProxyOutbound/") { #expect(!Self.imports(of: file).contains("ProxyInbound"), "\(file.path)") }
        }
    }

    @Test("The data plane stays off Hummingbird, grpc-swift, GRDB, and Foundation in the wire and balance targets")
    func dataPlaneIsLean() {
        let banned: Set<String> = ["Hummingbird", "GRPCCore", "GRDB", "AsyncHTTPClient", "NIOHTTP1"]
        for file in SourceTree.swiftSources where file.path.hasPrefix("Sources/Proxy/") {
            for name in Self.imports(of: file) where banned.contains(name) {
                Issue.record("\(file.path) imports \(name), which is off the data plane")
            }
            let isPure = ["MeshWire", "MeshBalance"].contains { file.path.hasPrefix("Sources/Proxy/\($0)/") }
            if isPure { #expect(!Self.imports(of: file).contains("Foundation"), "\(file.path)") }
        }
    }

    @Test("The local cluster's three parts meet on the wire, in LocalCluster only")
    func localPartsAreApart() {
        let parts: Set<String> = ["LocalAPI", "LocalControllers", "LocalNode"]
        for part in parts {
            for file in SourceTree.swiftSources where file.path.hasPrefix("Sources/Local/\(part)/") {
                let forbidden = parts.subtracting([part]).intersection(Self.imports(of: file))
                #expect(forbidden.isEmpty, "\(file.path) imports \(forbidden)")
            }
        }
    }
}
