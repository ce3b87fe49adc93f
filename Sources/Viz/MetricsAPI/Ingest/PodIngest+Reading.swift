import MeshMetrics
import MeshRollup

// Reading a scrape: the known series by their hash, without looking at their labels; new ones in full.

extension PodIngest {
    /// Where the reader is.
    private struct Position {
        var family: Family?
        /// Slot that the next series has if the scrape keeps the order of the last one.
        var guess = 0
        /// Families that the target gives a wrong type, one bit each.
        var distrusted: UInt32 = 0

        func distrusts(_ family: Family) -> Bool { distrusted & (1 << UInt32(family.rawValue)) != 0 }
    }

    /// Fills `shared.scrape` from the text, and `report`.
    mutating func read(_ body: [UInt8], _ shared: inout Shared) {
        // SAFETY: bytes have no padding, and the array outlives this call.
        let bytes = unsafe body.span.bytes
        var scanner = ExpositionScanner()
        var position = Position()
        while let item = scanner.next(in: bytes) {
            switch item {
            case .malformed: report.malformedLines += 1
            case .type(let declared): note(declared, body, &position)
            case .line(let line):
                if !line.hasSameName {
                    position.family = Family(body, line.name)
                    if position.family == nil { inspect(line, bytes, body, &shared) }
                }
                guard let family = position.family else { continue }
                take(line, family, bytes, body, &position, &shared)
            }
        }
        report.hasEnd = scanner.hasSeenEOF
    }

    /// Tells a metric that is not kept from garbage; each name is looked at once.
    private mutating func inspect(_ line: ExpositionLine, _ bytes: RawSpan, _ body: [UInt8], _ shared: inout Shared) {
        let id = SeriesID(hashing: bytes, in: line.name)
        if shared.otherNames.contains(id) { return }
        guard ExpositionParser.strict(line.range, in: body) != nil else {
            report.malformedLines += 1
            return
        }
        if shared.otherNames.count < Shared.otherNamesMax { shared.otherNames.insert(id) }
    }

    private mutating func note(_ declared: ExpositionType, _ body: [UInt8], _ position: inout Position) {
        let name = ExpositionParser.text(of: declared.name, in: body)
        let type = ExpositionParser.text(of: declared.type, in: body)
        for family in Family.contradicted(by: name, type: type) {
            position.distrusted |= 1 << UInt32(family.rawValue)
            if report.wrongTypes.count < ScrapeReport.examplesMax { report.wrongTypes.insert("\(name) is a \(type)") }
        }
    }

    private mutating func take(
        _ line: ExpositionLine, _ family: Family, _ bytes: RawSpan, _ body: [UInt8], _ position: inout Position,
        _ shared: inout Shared
    ) {
        if family != .processStart, let quick = ExpositionScanner.quick(line, in: bytes) {
            let id = SeriesID(hashing: bytes, in: quick.series)
            if let slot = cursor.slot(of: id, guess: position.guess), slot < targets.count, let target = targets[slot] {
                position.guess = slot &+ 1
                let value = position.distrusts(family) ? cursor.value(inSlot: slot) : quick.value
                shared.scrape.add(slot: slot, isGauge: target.action == .gauge, whole: value)
                return
            }
        }
        guard let sample = ExpositionParser.strict(line.range, in: body) else {
            report.malformedLines += 1
            return
        }
        guard family != .processStart else {
            if Scrape.whole(sample.value) != nil { shared.scrape.processStart = UnixTime(seconds: sample.value) }
            return
        }
        take(sample, family, body, &position, &shared)
    }

    /// Takes a series whose labels have to be read, or whose value is no plain number.
    private mutating func take(
        _ sample: ExpositionSample, _ family: Family, _ body: [UInt8], _ position: inout Position, _ shared: inout Shared
    ) {
        let id = SeriesID(hashing: body, in: sample.series)
        let known = cursor.slot(of: id)
        let value = position.distrusts(family) ? nil : Scrape.whole(sample.value)
        if value == nil { report.unusableValues += 1 }
        guard known != nil || value != nil else { return }
        guard known != nil || cursor.seriesCount < seriesMax else {
            report.ignoredSeries += 1
            return
        }
        let slot = known ?? cursor.insert(id)
        while targets.count <= slot { targets.append(nil) }
        let target = targets[slot] ?? makeTarget(family, sample, body, slot, &shared.budget)
        targets[slot] = target
        position.guess = slot &+ 1
        // What cannot be read says nothing: the series stays where it was, else its return would count from zero.
        let whole = value ?? cursor.value(inSlot: slot)
        shared.scrape.add(slot: slot, isGauge: target.action == .gauge, whole: whole)
    }

    private mutating func makeTarget(
        _ family: Family, _ sample: ExpositionSample, _ body: [UInt8], _ slot: Int, _ budget: inout LabelBudget
    ) -> SeriesTarget {
        guard family.isBucket, let (stem, bound) = Self.split(sample, body) else {
            return makeTarget(family, ExpositionParser.labels(of: sample, in: body), slot, &budget)
        }
        // The other buckets of a histogram differ in their last label only: nineteen of twenty lines of a first scrape.
        let id = SeriesID(hashing: body, in: stem)
        if let kin = histograms[id] {
            return bucket(SeriesTarget.Action(bound: bound), kin, slot)
        }
        let target = makeTarget(family, ExpositionParser.labels(of: sample, in: body), slot, &budget)
        let kin = Histogram(object: target.object, peer: target.peer, group: Int32(histograms.count))
        histograms[id] = kin
        return bucket(target.action, kin, slot)
    }

    private mutating func bucket(_ action: SeriesTarget.Action, _ kin: Histogram, _ slot: Int) -> SeriesTarget {
        if case .bucket(let bound) = action {
            cursor.setGroup(Int(kin.group), ofSlot: slot)
            bounds |= 1 << UInt32(bound)
        }
        return SeriesTarget(action: action, object: kin.object, peer: kin.peer)
    }

    /// Cuts `name{labels,le="5"}` before `le`, if that is the last label: what the buckets of one histogram share.
    private static func split(_ sample: ExpositionSample, _ body: [UInt8]) -> (stem: Range<Int>, bound: String)? {
        let labels = sample.labels
        guard labels.count > 5, body[labels.upperBound - 1] == UInt8(ascii: "\"") else { return nil }
        var offset = labels.upperBound - 2
        while offset > labels.lowerBound, body[offset] != UInt8(ascii: "\"") { offset -= 1 }
        let name = [UInt8]("le=".utf8)
        guard offset - 3 >= labels.lowerBound, body[offset - 3..<offset].elementsEqual(name) else { return nil }
        guard offset - 3 == labels.lowerBound || body[offset - 4] == UInt8(ascii: ",") else { return nil }
        return (sample.series.lowerBound..<offset - 3, String(decoding: body[offset + 1..<labels.upperBound - 1], as: UTF8.self))
    }

    private mutating func makeTarget(
        _ family: Family, _ given: [String: String], _ slot: Int, _ budget: inout LabelBudget
    ) -> SeriesTarget {
        var labels = given
        let isAuthz = family == .authzAllow || family == .authzDeny
        if isAuthz { labels["direction"] = "inbound" }
        let direction: Direction
        switch labels["direction"] {
        case "inbound": direction = .inbound
        case "outbound": direction = .outbound
        default: return SeriesTarget(action: .ignore, object: -1, peer: -1)
        }
        // The proxy's admin port counts itself as inbound. Probes and scrapes, ours among them, are no traffic of
        // the workload: an idle one would never look idle.
        if direction == .inbound, let adminPort, labels["target_port"] == adminPort {
            return SeriesTarget(action: .ignore, object: -1, peer: -1)
        }
        let object: Int16
        var peer: Int16 = -1
        if family.isRoute {
            let route = RouteKey(
                direction: direction, workload: workload, pod: podName, dst: labels["dst"] ?? "",
                route: labels["rt_route"] ?? "", countsAttempts: family == .routeActualResponses)
            object = number(of: .route(budget.admit(route)))
        } else {
            object = number(of: .object(TrafficKey(direction: direction, workload: workload, pod: podName)))
            // A verdict has no authority, and would only split the arrivals that have one.
            if !isAuthz { peer = peerNumber(labels, &budget) }
        }
        let action = SeriesTarget.Action(family, labels)
        guard case .bucket = action else { return SeriesTarget(action: action, object: object, peer: peer) }
        labels["__name__"] = "\(family)"  // Never one histogram with another family's.
        return bucket(action, Histogram(object: object, peer: peer, group: Int32(group(of: labels))), slot)
    }

    private mutating func peerNumber(_ labels: [String: String], _ budget: inout LabelBudget) -> Int16 {
        if let edge = EdgeLabels.edge(labels, src: workload, srcPod: podName, clusterDomain: clusterDomain) {
            return number(of: .edge(budget.admit(edge)))
        }
        if let arrival = ArrivalLabels.arrival(labels, workload: workload, pod: podName) {
            return number(of: .arrival(budget.admit(arrival)))
        }
        return -1
    }

    /// The number of a histogram whose `le` is not its last label.
    private mutating func group(of labels: [String: String]) -> Int {
        let text = labels.filter { $0.key != "le" }.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }.joined(separator: "\u{0}")
        let bytes = Array(text.utf8)
        let id = SeriesID(hashing: bytes, in: bytes.indices)
        if let known = histograms[id] { return Int(known.group) }
        let group = Int32(histograms.count)
        histograms[id] = Histogram(object: -1, peer: -1, group: group)
        return Int(group)
    }
}
