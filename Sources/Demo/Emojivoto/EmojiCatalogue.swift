// The closed set of emoji one can vote for: every entry is one RPC of `VotingService`.
/// One emoji, with the name of the RPC that votes for it.
package struct EmojiChoice: Sendable, Hashable {
    /// Name between colons, as people type it: `:doughnut:`.
    package let shortcode: String
    /// The character itself, one grapheme.
    package let unicode: String
    /// Method of `emojivoto.v1.VotingService` that counts a vote for it, e.g. `VoteDoughnut`.
    package let voteMethod: String

    init(_ name: String, _ unicode: String, _ method: String) {
        self.shortcode = ":\(name):"
        self.unicode = unicode
        self.voteMethod = "Vote\(method)"
    }
}

/// The emoji of the demo, in the order in which they are listed.
package enum EmojiCatalogue {
    /// The one whose vote fails on purpose: the fault that a mesh is to find.
    package static let faulty = ":doughnut:"

    /// Looks an emoji up by its shortcode, colons included; `nil` when there is none.
    package static func choice(_ shortcode: String) -> EmojiChoice? { byShortcode[shortcode] }

    private static let byShortcode = Dictionary(
        all.map { ($0.shortcode, $0) }, uniquingKeysWith: { first, _ in first })

    /// Every emoji, in listing order.
    package static let all: [EmojiChoice] = [
        EmojiChoice("poop", "💩", "Poop"),
        EmojiChoice("joy", "😂", "Joy"),
        EmojiChoice("sunglasses", "😎", "Sunglasses"),
        EmojiChoice("relaxed", "☺️", "Relaxed"),
        EmojiChoice("stuck_out_tongue_winking_eye", "😜", "StuckOutTongueWinkingEye"),
        EmojiChoice("money_mouth_face", "🤑", "MoneyMouthFace"),
        EmojiChoice("flushed", "😳", "Flushed"),
        EmojiChoice("mask", "😷", "Mask"),
        EmojiChoice("nerd_face", "🤓", "NerdFace"),
        EmojiChoice("ghost", "👻", "Ghost"),
        EmojiChoice("skull_and_crossbones", "☠️", "SkullAndCrossbones"),
        EmojiChoice("heart_eyes_cat", "😻", "HeartEyesCat"),
        EmojiChoice("hear_no_evil", "🙉", "HearNoEvil"),
        EmojiChoice("see_no_evil", "🙈", "SeeNoEvil"),
        EmojiChoice("speak_no_evil", "🙊", "SpeakNoEvil"),
        EmojiChoice("boy", "👦", "Boy"),
        EmojiChoice("girl", "👧", "Girl"),
        EmojiChoice("man", "👨", "Man"),
        EmojiChoice("woman", "👩", "Woman"),
        EmojiChoice("older_man", "👴", "OlderMan"),
        EmojiChoice("policeman", "👮", "Policeman"),
        EmojiChoice("guardsman", "💂", "Guardsman"),
        EmojiChoice("construction_worker_man", "👷", "ConstructionWorkerMan"),
        EmojiChoice("prince", "🤴", "Prince"),
        EmojiChoice("princess", "👸", "Princess"),
        EmojiChoice("man_in_tuxedo", "🤵", "ManInTuxedo"),
        EmojiChoice("bride_with_veil", "👰", "BrideWithVeil"),
        EmojiChoice("mrs_claus", "🤶", "MrsClaus"),
        EmojiChoice("santa", "🎅", "Santa"),
        EmojiChoice("turkey", "🦃", "Turkey"),
        EmojiChoice("rabbit", "🐰", "Rabbit"),
        EmojiChoice("no_good_woman", "🙅", "NoGoodWoman"),
        EmojiChoice("ok_woman", "🙆", "OkWoman"),
        EmojiChoice("raising_hand_woman", "🙋", "RaisingHandWoman"),
        EmojiChoice("bowing_man", "🙇", "BowingMan"),
        EmojiChoice("man_facepalming", "🤦‍♂", "ManFacepalming"),
        EmojiChoice("woman_shrugging", "🤷‍♀", "WomanShrugging"),
        EmojiChoice("massage_woman", "💆", "MassageWoman"),
        EmojiChoice("walking_man", "🚶", "WalkingMan"),
        EmojiChoice("running_man", "🏃", "RunningMan"),
        EmojiChoice("dancer", "💃", "Dancer"),
        EmojiChoice("man_dancing", "🕺", "ManDancing"),
        EmojiChoice("dancing_women", "👯", "DancingWomen"),
        EmojiChoice("rainbow", "🌈", "Rainbow"),
        EmojiChoice("skier", "⛷", "Skier"),
        EmojiChoice("golfing_man", "🏌", "GolfingMan"),
        EmojiChoice("surfing_man", "🏄", "SurfingMan"),
        EmojiChoice("basketball_man", "⛹", "BasketballMan"),
        EmojiChoice("biking_man", "🚴", "BikingMan"),
        EmojiChoice("point_up_2", "👆", "PointUp2"),
        EmojiChoice("vulcan_salute", "🖖", "VulcanSalute"),
        EmojiChoice("metal", "🤘", "Metal"),
        EmojiChoice("call_me_hand", "🤙", "CallMeHand"),
        EmojiChoice("thumbsup", "👍", "Thumbsup"),
        EmojiChoice("wave", "👋", "Wave"),
        EmojiChoice("clap", "👏", "Clap"),
        EmojiChoice("raised_hands", "🙌", "RaisedHands"),
        EmojiChoice("pray", "🙏", "Pray"),
        EmojiChoice("dog", "🐶", "Dog"),
        EmojiChoice("cat2", "🐈", "Cat2"),
        EmojiChoice("pig", "🐷", "Pig"),
        EmojiChoice("hatching_chick", "🐣", "HatchingChick"),
        EmojiChoice("snail", "🐌", "Snail"),
        EmojiChoice("bacon", "🥓", "Bacon"),
        EmojiChoice("pizza", "🍕", "Pizza"),
        EmojiChoice("taco", "🌮", "Taco"),
        EmojiChoice("burrito", "🌯", "Burrito"),
        EmojiChoice("ramen", "🍜", "Ramen"),
        EmojiChoice("doughnut", "🍩", "Doughnut"),
        EmojiChoice("champagne", "🍾", "Champagne"),
        EmojiChoice("tropical_drink", "🍹", "TropicalDrink"),
        EmojiChoice("beer", "🍺", "Beer"),
        EmojiChoice("tumbler_glass", "🥃", "TumblerGlass"),
        EmojiChoice("world_map", "🗺", "WorldMap"),
        EmojiChoice("beach_umbrella", "🏖", "BeachUmbrella"),
        EmojiChoice("mountain_snow", "🏔", "MountainSnow"),
        EmojiChoice("camping", "🏕", "Camping"),
        EmojiChoice("steam_locomotive", "🚂", "SteamLocomotive"),
        EmojiChoice("flight_departure", "🛫", "FlightDeparture"),
        EmojiChoice("rocket", "🚀", "Rocket"),
        EmojiChoice("star2", "🌟", "Star2"),
        EmojiChoice("sun_behind_small_cloud", "🌤", "SunBehindSmallCloud"),
        EmojiChoice("cloud_with_rain", "🌧", "CloudWithRain"),
        EmojiChoice("fire", "🔥", "Fire"),
        EmojiChoice("jack_o_lantern", "🎃", "JackOLantern"),
        EmojiChoice("balloon", "🎈", "Balloon"),
        EmojiChoice("tada", "🎉", "Tada"),
        EmojiChoice("trophy", "🏆", "Trophy"),
        EmojiChoice("iphone", "📱", "Iphone"),
        EmojiChoice("pager", "📟", "Pager"),
        EmojiChoice("fax", "📠", "Fax"),
        EmojiChoice("bulb", "💡", "Bulb"),
        EmojiChoice("money_with_wings", "💸", "MoneyWithWings"),
        EmojiChoice("crystal_ball", "🔮", "CrystalBall"),
        EmojiChoice("underage", "🔞", "Underage"),
        EmojiChoice("interrobang", "⁉️", "Interrobang"),
        EmojiChoice("100", "💯", "100"),
        EmojiChoice("checkered_flag", "🏁", "CheckeredFlag"),
        EmojiChoice("crossed_swords", "⚔️", "CrossedSwords"),
        EmojiChoice("floppy_disk", "💾", "FloppyDisk"),
    ]
}
