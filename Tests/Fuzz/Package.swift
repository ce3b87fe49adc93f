// swift-tools-version: 6.2
// The fuzzers, apart from the product: only what parses and needs no socket, by links to its sources. The parsers
// alone are instrumented and optimized; NIOCore, which they only borrow buffers from, is built as it is.
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .unsafeFlags(["-sanitize=address", "-sanitize=fuzzer", "-O"]),
]
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")

func parser(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: settings)
}

let package = Package(
    name: "mesh-fuzz",
    dependencies: [.package(url: "https://github.com/apple/swift-nio", exact: "2.101.2")],
    targets: [
        .systemLibrary(name: "CNGHTTP2", path: "Sources/CNGHTTP2", pkgConfig: "libnghttp2"),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib"),
        parser("MeshModel"), parser("MeshMetrics", ["MeshModel"]), parser("MeshCompression", ["CZlib", nioCore]),
        parser("MeshWire", [nioCore]), parser("MeshHTTP2", ["CNGHTTP2", nioCore]), parser("MeshRoutes"),
        parser("MeshRollup", ["MeshModel", "MeshMetrics"]),
        .executableTarget(
            name: "mesh-fuzz",
            dependencies: ["MeshModel", "MeshMetrics", "MeshCompression", "MeshWire", "MeshHTTP2", "MeshRoutes", "MeshRollup", nioCore],
            path: "Sources/Harness", swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-sanitize=address", "-sanitize=fuzzer", "-use-ld=lld"])]),
    ]
)
