// swift-tools-version: 6.2
// Targets are grouped by room; `Sources/README.md` is the map. Arrows point from a room to Base only.
import Foundation
import PackageDescription

/// `MESH_STRICT=1` (as `deploy/test` sets it) turns warnings into errors; a stranger's build never
/// breaks on a deprecation in a new release of a dependency.
let isStrict = ProcessInfo.processInfo.environment["MESH_STRICT"] != nil
/// `MESH_ROOM=Proxy,Base` keeps only those rooms, what they need and their tests, so that work on one room does
/// not build the others. A target's name instead of a room's keeps only the tests of that target.
let roomsWanted = ProcessInfo.processInfo.environment["MESH_ROOM"].map { Set($0.split(separator: ",").map(String.init)) }

let settings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6), .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (isStrict ? [.treatAllWarnings(as: .error), .treatWarning("DeprecatedDeclaration", as: .warning)] : [])

/// The data plane's hot path pays for no exclusivity checks in release: its handlers live on one event loop.
let dataPlane: [SwiftSetting] = settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// Targets of `room`, unless neither it nor a room that needs it is wanted.
func room(_ room: String, _ targets: [Target], neededBy others: Set<String> = []) -> [Target] {
    guard let roomsWanted else { return targets }
    let names = others.union(targets.map(\.name)).union([room, "Integration"])
    return roomsWanted.isDisjoint(with: names) ? [] : targets
}

func lib(
    _ name: String, _ path: String, _ dependencies: [Target.Dependency] = [],
    resources: [Resource]? = nil, exclude: [String] = [], settings: [SwiftSetting] = settings
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(path)", exclude: exclude, resources: resources,
        swiftSettings: settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: "Sources/Programs/\(name)", swiftSettings: settings)
}

/// Tests of target `name` in `room`; `Tests/<name>Tests` mirrors Sources.
func tests(_ room: String, _ name: String, _ dependencies: [Target.Dependency] = [], itself: Bool = true) -> [Target] {
    if let roomsWanted, roomsWanted.isDisjoint(with: [room, name]) { return [] }
    let tested: [Target.Dependency] = itself ? [.target(name: name)] : []
    return [
        .testTarget(
            name: "\(name)Tests", dependencies: tested + dependencies, path: "Tests/\(name)Tests",
            exclude: ["Corpus", "Golden", "Manifests"].filter {
                FileManager.default.fileExists(atPath: Context.packageDirectory + "/Tests/\(name)Tests/\($0)")
            },
            swiftSettings: settings)
    ]
}

// Products of other packages, by the names used below.
func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }
let nioCore = nio("NIOCore"), nioPosix = nio("NIOPosix"), nioHTTP1 = nio("NIOHTTP1"), nioWebSocket = nio("NIOWebSocket")
let nioEmbedded = nio("NIOEmbedded"), nioFoundation = nio("NIOFoundationCompat")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let grpcCore: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcProtobuf: Target.Dependency = .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let grpcPosix: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let jwtKit: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")

let cTargets: [Target] = [
    .systemLibrary(name: "CNGHTTP2", path: "Sources/C/CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CZlib", path: "Sources/C/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "CMeshLinux", path: "Sources/C/CMeshLinux"),
]

let base: [Target] = [
    lib("MeshModel", "Base/MeshModel"),
    lib("MeshMetrics", "Base/MeshMetrics", ["MeshModel"]),
    lib("MeshAPI", "Base/MeshAPI", [protobuf], exclude: ["Protos"]),
    lib("MeshGRPC", "Base/MeshGRPC", ["MeshAPI", protobuf, grpcCore, grpcProtobuf]),
    lib("MeshCompression", "Base/MeshCompression", ["CZlib", nioCore]),
    lib("MeshServing", "Base/MeshServing", [nioCore, nioPosix]),
    lib(
        "MeshKubernetes", "Base/MeshKubernetes",
        ["MeshModel", "MeshMetrics", "MeshServing", httpClient, nioCore, nioPosix, nioHTTP1, nioFoundation, nioSSL, yams, logging]),
    lib("MeshWebSocket", "Base/MeshWebSocket", [nioCore, nioPosix, nioHTTP1, nioWebSocket, nioSSL, logging]),
]

let proxy: [Target] = [
    lib("MeshWire", "Proxy/MeshWire", [nioCore], settings: dataPlane),
    lib("MeshHTTP2", "Proxy/MeshHTTP2", ["CNGHTTP2", nioCore], settings: dataPlane),
    lib("MeshTLS", "Proxy/MeshTLS", ["COpenSSL", "MeshWire", nioCore], settings: dataPlane),
    lib("MeshTransport", "Proxy/MeshTransport", ["CMeshLinux", "MeshModel", nioCore, nioPosix, logging], settings: dataPlane),
    lib("MeshBalance", "Proxy/MeshBalance", ["MeshModel"], settings: dataPlane),
    lib("MeshRoutes", "Proxy/MeshRoutes", settings: dataPlane),
    lib(
        "ProxyCore", "Proxy/ProxyCore",
        [
            "MeshModel", "MeshMetrics", "MeshAPI", "MeshWire", "MeshHTTP2", "MeshTLS", "MeshTransport", "MeshBalance",
            "MeshCompression", protobuf, nioCore, nioPosix, logging, "MeshRoutes",
        ], settings: dataPlane),
    lib(
        "ProxyInbound", "Proxy/ProxyInbound",
        ["ProxyCore", "MeshModel", "MeshMetrics", "MeshWire", "MeshHTTP2", "MeshTLS", "MeshTransport", nioCore, nioPosix, logging],
        settings: dataPlane),
    lib(
        "ProxyOutbound", "Proxy/ProxyOutbound",
        [
            "ProxyCore", "MeshModel", "MeshMetrics", "MeshAPI", "MeshWire", "MeshHTTP2", "MeshTLS", "MeshTransport", "MeshBalance",
            protobuf,
            nioCore, nioPosix, logging, "MeshRoutes",
        ], settings: dataPlane),
    lib("ProxyInit", "Proxy/ProxyInit"),
]

let controlPlane: [Target] = [
    lib(
        "Destination", "ControlPlane/Destination",
        [
            "MeshModel", "MeshMetrics", "MeshAPI", "MeshGRPC", "MeshKubernetes", protobuf, grpcCore, grpcProtobuf, grpcPosix,
            logging,
        ]),
    lib(
        "Identity", "ControlPlane/Identity",
        [
            "MeshModel", "MeshMetrics", "MeshAPI", "MeshGRPC", "MeshKubernetes", protobuf, grpcCore, grpcProtobuf, grpcPosix, x509,
            asn1, crypto, logging,
        ]),
    lib("Injector", "ControlPlane/Injector", ["MeshModel", "MeshKubernetes", yams]),
    lib("InjectorWebhook", "ControlPlane/InjectorWebhook", ["MeshModel", "MeshMetrics", "MeshKubernetes", "Injector", logging]),
]

let viz: [Target] = [
    lib("MeshRollup", "Viz/MeshRollup", ["MeshModel", "MeshMetrics"]),
    lib("RollupStore", "Viz/RollupStore", ["MeshModel", "MeshRollup", grdb, logging], exclude: ["SCHEMA.md"]),
    lib(
        "MetricsAPI", "Viz/MetricsAPI",
        [
            "MeshModel", "MeshMetrics", "MeshServing", "MeshAPI", "MeshGRPC", "MeshCompression", "MeshKubernetes", "MeshRollup", "RollupStore", protobuf, grpcCore,
            grpcProtobuf, grpcPosix, httpClient, nioCore, nioPosix, nioHTTP1, nioFoundation, nioSSL, logging,
        ]),
    lib(
        "Tap", "Viz/Tap",
        [
            "MeshModel", "MeshMetrics", "MeshServing", "MeshAPI", "MeshGRPC", "MeshKubernetes", "MeshRollup", "MetricsAPI", protobuf, grpcCore,
            grpcProtobuf, grpcPosix, nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1, crypto, logging,
        ]),
    lib(
        "Dashboard", "Viz/Dashboard",
        [
            "MeshModel", "MeshMetrics", "MeshServing", "MeshAPI", "MeshGRPC", "MeshWebSocket", protobuf, grpcCore, grpcProtobuf, grpcPosix,
            hummingbird, hummingbirdCore, httpTypes, lifecycle, nioCore, nioHTTP1, logging,
        ]),
]

let local: [Target] = [
    lib(
        "LocalAPI", "Local/LocalAPI",
        [
            "MeshModel", "MeshServing", "MeshWebSocket", "MeshCompression", grdb, jwtKit, crypto, x509, asn1, yams, nioCore,
            nioPosix, nioHTTP1, nioWebSocket, nioSSL, nioFoundation, logging,
        ]),
    lib("LocalControllers", "Local/LocalControllers", ["MeshModel", "MeshKubernetes", logging]),
    lib(
        "LocalNode", "Local/LocalNode",
        ["CMeshLinux", "MeshModel", "MeshServing", "MeshKubernetes", nioCore, nioPosix, nioHTTP1, nioSSL, httpClient, logging]),
    lib(
        "LocalCluster", "Local/LocalCluster",
        [
            "CMeshLinux", "MeshModel", "MeshServing", "MeshKubernetes", "LocalAPI", "LocalControllers", "LocalNode", crypto, x509, asn1, yams,
            nioCore, nioPosix, nioSSL, logging,
        ]),
]

let demo: [Target] = [
    lib(
        "Emojivoto", "Demo/Emojivoto",
        [
            "MeshModel", "MeshMetrics", protobuf, grpcCore, grpcProtobuf, grpcPosix, hummingbird, httpTypes, httpClient, nioCore,
            logging, lifecycle,
        ],
        exclude: ["Protos"])
]

let cli: [Target] = [
    lib(
        "MeshCLI", "CLI",
        [
            "MeshModel", "MeshAPI", "MeshGRPC", "MeshCompression", "MeshKubernetes", "MeshWebSocket", "Identity", "Injector", "LocalCluster",
            protobuf,
            grpcCore, grpcProtobuf, grpcPosix, arguments, yams, nioCore, nioPosix, logging,
        ])
]

let programs: [Target] = [
    program("linkerd", ["MeshCLI", arguments]),
    program(
        "linkerd-proxy", ["ProxyCore", "ProxyInbound", "ProxyOutbound", "MeshTransport", nioCore, nioPosix, logging]),
    program("linkerd-proxy-init", ["ProxyInit", arguments]),
    program("linkerd-controller", ["Destination", "Identity", "Injector", "InjectorWebhook", "MeshKubernetes", "MeshModel", arguments, logging, lifecycle, signals]),
    program("linkerd-viz", ["MetricsAPI", "Dashboard", "Tap", "MeshKubernetes", "MeshModel", "MeshRollup", "RollupStore", arguments, logging, lifecycle, signals]),
    program("emojivoto", ["Emojivoto", "MeshModel", arguments, logging, lifecycle, signals]),
]

/// Certificates for tests, made by swift-certificates; a library, since two test targets share it.
let testSupport: [Target] = [
    .target(
        name: "MeshTestPKI", dependencies: ["MeshTLS", x509, asn1, crypto], path: "Tests/MeshTestPKI", swiftSettings: settings)
]

let allTests: [Target] =
    tests("Base", "MeshModel") + tests("Base", "MeshMetrics", ["MeshModel"])
    + tests("Base", "MeshAPI", [protobuf]) + tests("Base", "MeshKubernetes", ["MeshModel", nioCore, nioPosix, nioHTTP1, logging])
    + tests("Base", "MeshCompression", [nioCore])
    + tests("Base", "MeshWebSocket", [nioCore, nioPosix, nioHTTP1, logging])
    + tests("Proxy", "MeshWire", [nioCore]) + tests("Proxy", "MeshHTTP2", [nioCore])
    + tests("Proxy", "MeshTLS", ["MeshTestPKI", "MeshWire", nioCore, nioPosix, nioEmbedded, x509, asn1, crypto])
    + tests("Proxy", "MeshBalance", ["MeshModel"])
    + tests("Proxy", "MeshRoutes")
    + tests(
        "Proxy", "ProxyCore",
        ["MeshModel", "MeshMetrics", "MeshAPI", "MeshWire", "MeshHTTP2", "MeshTLS", "MeshTestPKI", "MeshTransport", "MeshBalance",
         "ProxyInbound", "ProxyOutbound", "CMeshLinux", protobuf, nioCore, nioPosix, logging, "MeshRoutes"])
    + tests("Proxy", "ProxyInit")
    + tests(
        "ControlPlane", "Destination",
        ["MeshModel", "MeshAPI", "MeshGRPC", "MeshKubernetes", protobuf, grpcCore, grpcProtobuf, grpcPosix, logging])
    + tests(
        "ControlPlane", "Identity",
        ["MeshModel", "MeshAPI", "MeshGRPC", "MeshKubernetes", "LocalAPI", protobuf, grpcCore, grpcPosix, x509, asn1, crypto, nioCore,
         nioPosix, nioHTTP1, logging])
    + tests("ControlPlane", "Injector", ["MeshModel", "MeshKubernetes"])
    + tests(
        "ControlPlane", "InjectorWebhook",
        ["MeshModel", "MeshKubernetes", "Injector", "LocalAPI", httpClient, nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1, crypto, logging])
    + tests("Viz", "MeshRollup", ["MeshModel", "MeshMetrics"])
    + tests("Viz", "RollupStore", ["MeshModel", "MeshRollup", grdb, logging])
    + tests(
        "Viz", "MetricsAPI",
        ["MeshModel", "MeshMetrics", "MeshAPI", "MeshGRPC", "MeshCompression", "MeshKubernetes", "MeshRollup", "RollupStore", protobuf,
         grpcCore, grpcPosix, httpClient, nioCore, nioPosix, nioHTTP1, nioSSL, logging])
    + tests(
        "Viz", "Tap",
        ["MeshModel", "MeshAPI", "MeshGRPC", "MeshKubernetes", "MeshRollup", "MetricsAPI", "RollupStore", protobuf, grpcCore, grpcPosix, httpClient,
         nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1, crypto, logging])
    + tests("Viz", "Dashboard", ["MeshModel", "MeshAPI", "MeshGRPC", "MeshWebSocket", protobuf, grpcCore, grpcPosix, hummingbird, hummingbirdTesting, httpClient, httpTypes, nioCore, nioPosix, nioHTTP1, logging])
    + tests("Local", "LocalAPI", ["MeshModel", "MeshKubernetes", "MeshWebSocket", httpClient, nioCore, nioPosix, nioHTTP1, nioSSL, x509, asn1, crypto, logging])
    + tests("Local", "LocalControllers", ["MeshModel", "MeshKubernetes", "LocalAPI", logging])
    + tests("Local", "LocalNode", ["MeshModel", "MeshKubernetes", nioCore, logging])
    + tests("Local", "LocalCluster", ["MeshModel", "MeshKubernetes", "LocalAPI", logging])
    + tests("Demo", "Emojivoto", ["MeshModel", protobuf, grpcCore, grpcPosix, httpClient, nioCore, nioHTTP1, logging, lifecycle])
    + tests("CLI", "MeshCLI", ["MeshModel", "MeshAPI", "MeshKubernetes", arguments, protobuf])
    + tests("Tidy", "Tidy", [], itself: false)
    + tests("Integration", "Integration", ["MeshModel", "MeshMetrics", "MeshAPI", nioCore, nioPosix, logging], itself: false)

let package = Package(
    name: "linkerd-swift",
    products: room("Integration", programs).map { .executable(name: $0.name, targets: [$0.name]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", exact: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", exact: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", exact: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: cTargets + base + room("Proxy", proxy) + room("ControlPlane", controlPlane, neededBy: ["CLI"]) + room("Viz", viz)
        + room("Local", local, neededBy: ["CLI", "ControlPlane", "Identity", "InjectorWebhook"]) + room("Demo", demo) + room("CLI", cli) + room("Integration", programs)
        + room("Proxy", testSupport, neededBy: ["ProxyCore", "MeshTLS"]) + allTests
)
