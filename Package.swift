// swift-tools-version: 6.2

import PackageDescription

/// Every Swift target is compiled under the same rules; CONTRIBUTING.md gives the reasons.
let houseRules: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// The data plane has one thread and no Swift concurrency: with these, `Task` cannot even be
/// named, and neither Dispatch nor the concurrency runtime is linked.
let dataPlaneRules: [SwiftSetting] =
  houseRules + [
    .enableExperimentalFeature("Lifetimes"),
    .unsafeFlags([
      "-Xfrontend", "-disable-implicit-concurrency-module-import",
      "-Xfrontend", "-disable-implicit-string-processing-module-import",
    ]),
  ]

/// Tests may use what the data plane may not, and the test macros expand to code without `unsafe`.
let testRules: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

func tests(_ room: String, also dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: room + "Tests", dependencies: [.init(stringLiteral: room)] + dependencies,
    swiftSettings: testRules)
}

let package = Package(
  name: "sluice",
  products: [
    .executable(name: "sluice", targets: ["sluice"]),
    .executable(name: "sluice-controller", targets: ["sluice-controller"]),
    .executable(name: "sluicectl", targets: ["sluicectl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  // Listed bottom up: a target may depend on targets above it only.
  targets: [
    .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .systemLibrary(
      name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),

    .target(name: "Linux", dependencies: ["CLinux"], swiftSettings: dataPlaneRules),
    .target(name: "Wire", swiftSettings: dataPlaneRules),
    .target(name: "Ledger", dependencies: ["Linux"], swiftSettings: dataPlaneRules),

    .target(
      name: "Configuration", dependencies: ["Linux", "Ledger"], swiftSettings: dataPlaneRules),
    .target(name: "Reactor", dependencies: ["Linux"], swiftSettings: dataPlaneRules),

    .target(
      name: "Rules", dependencies: ["CPCRE2", "Linux", "Wire", "Ledger", "Configuration"],
      swiftSettings: dataPlaneRules),
    .target(
      name: "Worker",
      dependencies: ["Linux", "Wire", "Ledger", "Configuration", "Reactor", "Rules"],
      swiftSettings: dataPlaneRules),
    .target(
      name: "Master",
      dependencies: ["CSystemd", "Linux", "Wire", "Ledger", "Configuration", "Rules", "Worker"],
      swiftSettings: dataPlaneRules),
    .executableTarget(name: "sluice", dependencies: ["Master"], swiftSettings: dataPlaneRules),

    .target(
      name: "Controller",
      dependencies: [
        "Linux", "Wire", "Ledger", "Configuration", "Rules",
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
      ],
      swiftSettings: houseRules),
    .executableTarget(
      name: "sluice-controller",
      dependencies: [
        "Controller", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: houseRules),
    .executableTarget(
      name: "sluicectl",
      dependencies: [
        "Linux", "Wire", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: houseRules),

    tests("Linux"),
    tests("Wire"),
    tests("Ledger", also: ["Linux"]),
    tests("Configuration"),
    tests("Reactor", also: ["Linux"]),
    tests("Rules", also: ["Configuration", "Linux", "Wire", "Ledger"]),
    tests("Worker", also: ["Linux", "Wire", "Ledger", "Configuration", "Reactor", "Rules"]),
    tests("Master", also: ["Linux", "Wire", "Ledger", "Configuration", "Rules", "Worker"]),
    tests("Controller", also: ["Linux", "Wire", "Ledger", "Configuration"]),
  ]
)
