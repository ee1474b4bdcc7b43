// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// Where the constants of test_known_bytes.py come from: Solidity's own abi.encode, keccak256 and ecrecover, compiled
// with solc 0.8.28 and called on anvil 1.7.1. The signatures there are anvil's `personal_sign` of its first two
// accounts, whose keys are public.
contract Known {
    struct Feed { uint32 votingRoundId; bytes21 id; int32 value; uint16 turnoutBIPS; int8 decimals; }
    struct Random { uint32 votingRoundId; uint256 value; bool isSecure; }
    enum ClaimType { DIRECT, FEE, WNAT, MIRROR, CCHAIN }
    struct RewardClaim { uint24 rewardEpochId; bytes20 beneficiary; uint120 amount; ClaimType claimType; }

    function commit(address a, uint32 r, uint256 random, bytes calldata v) external pure returns (bytes32) {
        return keccak256(abi.encode(a, r, random, v));
    }

    function feed(Feed calldata f) external pure returns (bytes32) {
        return keccak256(abi.encode(f));
    }

    function random(Random calldata r) external pure returns (bytes32) {
        return keccak256(abi.encode(r));
    }

    function claim(RewardClaim calldata c) external pure returns (bytes32) {
        return keccak256(abi.encode(c));
    }

    function seed(uint256 s, uint8 protocol, uint32 r) external pure returns (bytes32) {
        return keccak256(abi.encode(s, protocol, r));
    }

    function hash(bytes calldata b) external pure returns (bytes32) {
        return keccak256(b);
    }

    function pair(bytes32 a, bytes32 b) external pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function policy(bytes calldata b) external pure returns (bytes32 chained) {
        uint256 n = (b.length + 31) / 32;
        bytes memory padded = new bytes(n * 32);
        for (uint256 i = 0; i < b.length; i++) padded[i] = b[i];
        assembly { chained := mload(add(padded, 32)) }
        for (uint256 i = 1; i < n; i++) {
            bytes32 piece;
            assembly { piece := mload(add(padded, add(32, mul(32, i)))) }
            chained = keccak256(abi.encode(chained, piece));
        }
    }

    function recover(bytes32 h, uint8 v, bytes32 r, bytes32 s) external pure returns (address) {
        return ecrecover(keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", h)), v, r, s);
    }
}
