// Reads the specs of ServiceProfiles and TrafficSplits, and notes every mistake with the path of its field.
// Fields that this version does not know are passed over: the API server's schema is the place for those.

internal import MeshAPI
internal import MeshModel
internal import SwiftProtobuf

/// Reads specs and collects what is wrong with them.
struct ProfileParser {
    private typealias Wire = Io_Linkerd_Proxy_Destination_RequestMatch

    /// Conditions inside conditions, at most; nobody writes more than a few, and the reader recurses.
    private static let nestingMax = 32
    /// Mistakes that are kept; the rest would only repeat them.
    private static let mistakesMax = 20

    private var mistakes: [String] = []

    private mutating func mistake(_ path: String, _ text: String) {
        if mistakes.count < Self.mistakesMax { mistakes.append("\(path): \(text)") }
    }

    /// - Throws: what was noted, if anything was.
    func finish() throws(ProfileMistakes) {
        guard mistakes.isEmpty else { throw ProfileMistakes(texts: mistakes) }
    }

    /// A text that must be there.
    mutating func text(_ value: JSONValue?, _ path: String) -> String? {
        guard let text = value?.stringValue, !text.isEmpty else {
            mistake(path, "must be a text")
            return nil
        }
        return text
    }

    private mutating func list(_ value: JSONValue?, _ path: String) -> [JSONValue] {
        guard let value, !value.isNull else { return [] }
        guard let elements = value.arrayValue else {
            mistake(path, "must be a list")
            return []
        }
        return elements
    }

    private mutating func flag(_ value: JSONValue?, _ path: String) -> Bool {
        guard let value, !value.isNull else { return false }
        guard let flag = value.boolValue else {
            mistake(path, "must be true or false")
            return false
        }
        return flag
    }

    private mutating func duration(_ value: JSONValue?, _ path: String) -> Google_Protobuf_Duration? {
        guard let value, !value.isNull, value.stringValue != "" else { return nil }
        guard let text = value.stringValue, let duration = GoDuration.parse(text), duration >= .zero else {
            mistake(path, "must be a duration such as 300ms or 10s")
            return nil
        }
        let nanoseconds = duration.nanoseconds
        return .with {
            $0.seconds = nanoseconds / 1_000_000_000
            $0.nanos = Int32(nanoseconds % 1_000_000_000)
        }
    }
}

// MARK: - Routes

extension ProfileParser {
    mutating func routes(_ value: JSONValue?) -> [Io_Linkerd_Proxy_Destination_Route] {
        var routes: [Io_Linkerd_Proxy_Destination_Route] = []
        for (index, route) in list(value, "spec.routes").enumerated() {
            let path = "spec.routes[\(index)]"
            guard let name = text(route["name"], "\(path).name"),
                let condition = requestMatch(route["condition"], "\(path).condition", depth: 0)
            else { continue }
            let classes = responseClasses(route["responseClasses"], "\(path).responseClasses")
            let isRetryable = flag(route["isRetryable"], "\(path).isRetryable")
            let timeout = duration(route["timeout"], "\(path).timeout")
            routes.append(
                .with {
                    $0.condition = condition
                    $0.responseClasses = classes
                    $0.metricsLabels = ["route": name]
                    $0.isRetryable = isRetryable
                    // Zero means none, as an absent field does.
                    if let timeout, timeout.seconds > 0 || timeout.nanos > 0 { $0.timeout = timeout }
                })
        }
        return routes
    }

    /// Several fields of one condition must all hold.
    private mutating func requestMatch(
        _ value: JSONValue?, _ path: String, depth: Int
    ) -> Io_Linkerd_Proxy_Destination_RequestMatch? {
        guard let value, value.objectValue != nil, depth < Self.nestingMax else {
            mistake(path, depth < Self.nestingMax ? "must be a condition" : "is nested too deeply")
            return nil
        }
        var matches: [Wire] = []
        if let pattern = value["pathRegex"], !pattern.isNull, pattern.stringValue != "" {
            if let text = text(pattern, "\(path).pathRegex") {
                matches.append(.with { $0.path = .with { $0.regex = text } })
            }
        }
        if let method = value["method"], !method.isNull, method.stringValue != "" {
            if let name = text(method, "\(path).method") {
                matches.append(.with { $0.method = Self.method(name) })
            }
        }
        for (key, isAll) in [("all", true), ("any", false)] {
            guard let parts = value[key], !parts.isNull else { continue }
            let nested = list(parts, "\(path).\(key)").enumerated().compactMap { index, part in
                requestMatch(part, "\(path).\(key)[\(index)]", depth: depth + 1)
            }
            guard !nested.isEmpty else {
                mistake("\(path).\(key)", "must not be empty")
                continue
            }
            let sequence = Wire.Seq.with { $0.matches = nested }
            matches.append(.with { $0.match = isAll ? .all(sequence) : .any(sequence) })
        }
        if let inner = negated(value), let match = requestMatch(inner, "\(path).not", depth: depth + 1) {
            matches.append(.with { $0.not = match })
        }
        guard let first = matches.first else {
            mistake(path, "must have at least one of pathRegex, method, all, any, not")
            return nil
        }
        return matches.count == 1 ? first : .with { $0.all = .with { $0.matches = matches } }
    }

    /// The documentation shows an object under `not`, the schema a list: a list of one is taken as well.
    private func negated(_ value: JSONValue) -> JSONValue? {
        guard let inner = value["not"], !inner.isNull else { return nil }
        if let elements = inner.arrayValue, elements.count == 1 { return elements[0] }
        return inner
    }

    private static func method(_ name: String) -> Io_Linkerd_Proxy_HttpTypes_HttpMethod {
        let registered: Io_Linkerd_Proxy_HttpTypes_HttpMethod.Registered? =
            switch name.uppercased() {
            case "GET": .get
            case "POST": .post
            case "PUT": .put
            case "DELETE": .delete
            case "PATCH": .patch
            case "OPTIONS": .options
            case "CONNECT": .connect
            case "HEAD": .head
            case "TRACE": .trace
            default: nil
            }
        return .with { $0.type = registered.map { .registered($0) } ?? .unregistered(name) }
    }
}

// MARK: - Response classes

extension ProfileParser {
    private mutating func responseClasses(
        _ value: JSONValue?, _ path: String
    ) -> [Io_Linkerd_Proxy_Destination_ResponseClass] {
        var classes: [Io_Linkerd_Proxy_Destination_ResponseClass] = []
        for (index, entry) in list(value, path).enumerated() {
            let path = "\(path)[\(index)]"
            let isFailure = flag(entry["isFailure"], "\(path).isFailure")
            guard let condition = responseMatch(entry["condition"], "\(path).condition", depth: 0) else {
                continue
            }
            classes.append(
                .with {
                    $0.condition = condition
                    $0.isFailure = isFailure
                })
        }
        return classes
    }

    private mutating func responseMatch(
        _ value: JSONValue?, _ path: String, depth: Int
    ) -> Io_Linkerd_Proxy_Destination_ResponseMatch? {
        guard let value, value.objectValue != nil, depth < Self.nestingMax else {
            mistake(path, depth < Self.nestingMax ? "must be a condition" : "is nested too deeply")
            return nil
        }
        var matches: [Io_Linkerd_Proxy_Destination_ResponseMatch] = []
        if let status = value["status"], !status.isNull, let range = statusRange(status, "\(path).status") {
            matches.append(
                .with {
                    $0.status = .with {
                        $0.min = UInt32(range.lowerBound)
                        $0.max = UInt32(range.upperBound)
                    }
                })
        }
        for (key, isAll) in [("all", true), ("any", false)] {
            guard let parts = value[key], !parts.isNull else { continue }
            let nested = list(parts, "\(path).\(key)").enumerated().compactMap { index, part in
                responseMatch(part, "\(path).\(key)[\(index)]", depth: depth + 1)
            }
            guard !nested.isEmpty else {
                mistake("\(path).\(key)", "must not be empty")
                continue
            }
            let sequence = Io_Linkerd_Proxy_Destination_ResponseMatch.Seq.with { $0.matches = nested }
            matches.append(.with { $0.match = isAll ? .all(sequence) : .any(sequence) })
        }
        if let inner = negated(value), let match = responseMatch(inner, "\(path).not", depth: depth + 1) {
            matches.append(.with { $0.not = match })
        }
        guard let first = matches.first else {
            mistake(path, "must have at least one of status, all, any, not")
            return nil
        }
        return matches.count == 1 ? first : .with { $0.all = .with { $0.matches = matches } }
    }

    /// One bound alone stands for exactly that code.
    private mutating func statusRange(_ value: JSONValue, _ path: String) -> ClosedRange<Int>? {
        let low = value["min"]?.intValue.flatMap { $0 == 0 ? nil : $0 }
        let high = value["max"]?.intValue.flatMap { $0 == 0 ? nil : $0 }
        guard let min = low ?? high, let max = high ?? low, (100...599).contains(min),
            (100...599).contains(max), min <= max
        else {
            mistake(path, "must have min and max within 100 to 599, in order")
            return nil
        }
        return min...max
    }
}

// MARK: - Budgets and weights

extension ProfileParser {
    mutating func retryBudget(_ value: JSONValue?) -> Io_Linkerd_Proxy_Destination_RetryBudget? {
        guard let value, !value.isNull else { return nil }
        let path = "spec.retryBudget"
        let ttl = duration(value["ttl"], "\(path).ttl")
        guard let ratio = value["retryRatio"]?.doubleValue, (0...1_000).contains(ratio) else {
            mistake("\(path).retryRatio", "must be a number from 0 to 1000")
            return nil
        }
        guard let least = value["minRetriesPerSecond"]?.intValue, (0...Int(Int32.max)).contains(least) else {
            mistake("\(path).minRetriesPerSecond", "must be a whole number, 0 or more")
            return nil
        }
        guard let ttl, ttl.seconds >= 1, ttl.seconds < 60 || (ttl.seconds == 60 && ttl.nanos == 0) else {
            mistake("\(path).ttl", "must be a duration from 1s to 60s")
            return nil
        }
        return .with {
            $0.retryRatio = Float(ratio)
            $0.minRetriesPerSecond = UInt32(least)
            $0.ttl = ttl
        }
    }

    mutating func overrides(_ value: JSONValue?) -> [WeightedName] {
        var names: [WeightedName] = []
        for (index, entry) in list(value, "spec.dstOverrides").enumerated() {
            let path = "spec.dstOverrides[\(index)]"
            guard let authority = text(entry["authority"], "\(path).authority"),
                let weight = weight(entry["weight"], "\(path).weight")
            else { continue }
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let port = parts.count == 2 ? Int(parts[1]) : nil
            guard !parts[0].isEmpty, parts.count == 1 || port.map((1...65_535).contains) == true else {
                mistake("\(path).authority", "must be a host with an optional port")
                continue
            }
            let host = parts[0].hasSuffix(".") ? parts[0].dropLast() : parts[0]
            names.append(WeightedName(host: host.lowercased(), port: port, weight: weight))
        }
        return names
    }

    mutating func backends(_ value: JSONValue?) -> [(service: String, weight: UInt32)] {
        var backends: [(service: String, weight: UInt32)] = []
        for (index, entry) in list(value, "spec.backends").enumerated() {
            let path = "spec.backends[\(index)]"
            guard let service = text(entry["service"], "\(path).service"),
                let weight = weight(entry["weight"], "\(path).weight")
            else { continue }
            backends.append((service, weight))
        }
        if backends.isEmpty, mistakes.isEmpty { mistake("spec.backends", "must not be empty") }
        return backends
    }

    /// A number, or a quantity as text; thousandths times ten.
    private mutating func weight(_ value: JSONValue?, _ path: String) -> UInt32? {
        let text = value?.stringValue ?? value?.doubleValue.map { "\($0)" }
        guard let text, let thousandths = Quantity.thousandths(text) else {
            mistake(path, "must be a quantity such as 1 or 500m")
            return nil
        }
        return UInt32(clamping: thousandths.multipliedReportingOverflow(by: 10).partialValue)
    }
}
