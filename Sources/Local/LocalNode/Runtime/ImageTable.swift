// There are no images on this node: an image's name says which program beside `linkerd` to run, the way its
// tag would say which file system to unpack on a real one.

/// What an image and a container's `command` and `args` come to.
package struct ResolvedProgram: Sendable, Hashable {
    /// `argv`; the first is a path, or a name to look up in the container's PATH.
    package var arguments: [String]
    package init(arguments: [String]) { self.arguments = arguments }
}

/// Why an image cannot be run, in the words of a kubelet.
package struct ImageError: Error, Equatable {
    package enum Kind: String, Sendable {
        case notFound = "ErrImagePull"
        case noCommand = "CreateContainerError"
    }
    package let kind: Kind
    package let message: String
}

/// Maps image names to programs.
package struct ImageTable: Sendable {
    /// Directory that holds the programs.
    package let programs: String

    package init(programs: String) { self.programs = programs }

    /// The entry point of each image: the program, and the arguments that come before the container's own.
    private static let entryPoints: [String: [String]] = [
        "proxy": ["linkerd-proxy"],
        "proxy-init": ["linkerd-proxy-init"],
        "controller": ["linkerd-controller"],
        "metrics-api": ["linkerd-viz", "metrics-api"],
        "web": ["linkerd-viz", "web"],
        "tap": ["linkerd-viz", "tap"],
        "tap-injector": ["linkerd-viz", "tap-injector"],
        "emojivoto-web": ["emojivoto", "web"],
        "emojivoto-emoji-svc": ["emojivoto", "emoji"],
        "emojivoto-voting-svc": ["emojivoto", "voting"],
    ]
    /// Names that a container's `command` may use: programs that the original images hold.
    private static let commands: [String: [String]] = [
        "emojivoto-vote-bot": ["emojivoto", "vote-bot"], "emojivoto-web": ["emojivoto", "web"],
        "emojivoto-emoji-svc": ["emojivoto", "emoji"], "emojivoto-voting-svc": ["emojivoto", "voting"],
        "linkerd-proxy": ["linkerd-proxy"], "linkerd-proxy-init": ["linkerd-proxy-init"],
        "linkerd-controller": ["linkerd-controller"], "linkerd-viz": ["linkerd-viz"],
        "emojivoto": ["emojivoto"],
    ]
    private static let hostImage = "linkerd.io/local/host"

    /// The program for a container. `command` replaces the entry point, `args` follow it, as in Kubernetes.
    package func resolve(image: String, command: [String], args: [String]) throws(ImageError)
        -> ResolvedProgram
    {
        let repository = Self.repository(of: image)
        let isHost = repository == Self.hostImage
        let name = repository.split(separator: "/").last.map(String.init) ?? repository
        guard isHost || Self.entryPoints[name] != nil else {
            throw ImageError(
                kind: .notFound,
                message:
                    "image \"\(image)\" is not in the local image table: no program is known by that name")
        }
        if let first = command.first {
            let base = first.split(separator: "/").last.map(String.init) ?? first
            if !isHost, let known = Self.commands[base] {
                return ResolvedProgram(arguments: located(known) + command.dropFirst() + args)
            }
            return ResolvedProgram(arguments: command + args)
        }
        if isHost {
            guard !args.isEmpty else { throw ImageError(kind: .noCommand, message: "no command specified") }
            return ResolvedProgram(arguments: args)
        }
        return ResolvedProgram(arguments: located(Self.entryPoints[name] ?? []) + args)
    }

    private func located(_ entryPoint: [String]) -> [String] {
        guard let program = entryPoint.first else { return [] }
        return ["\(programs)/\(program)"] + entryPoint.dropFirst()
    }

    /// An image reference without tag and digest: `host:5000/team/name:v1@sha256:…` is `host:5000/team/name`.
    static func repository(of image: String) -> String {
        var name = image.split(separator: "@", maxSplits: 1).first.map(String.init) ?? image
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") {
            name = String(name[..<colon])
        }
        return name
    }
}
