// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

// Small contracts for a local chain, with the interfaces and the checks of Flare's that a provider meets.
// They are not Flare's: governance, fees, inflation and vote power are left out. `operator` stands for them.
// Here is what rounds need; epochs.sol has what happens once a reward epoch.

struct Signature { uint8 v; bytes32 r; bytes32 s; }

function signerOf(bytes32 hashed, Signature memory signature) pure returns (address) {
    bytes32 prefixed = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hashed));
    return ecrecover(prefixed, signature.v, signature.r, signature.s);
}

contract Operated {
    address public immutable operator = msg.sender;
    modifier onlyOperator() { require(msg.sender == operator, "only the operator"); _; }
}

contract FlareContractRegistry is Operated {
    mapping(string => address) private addresses;

    function set(string calldata name, address at) external onlyOperator { addresses[name] = at; }

    function getContractAddressByName(string calldata name) external view returns (address) {
        return addresses[name];
    }

    function getContractAddressesByName(string[] calldata names) external view returns (address[] memory found) {
        found = new address[](names.length);
        for (uint256 i = 0; i < names.length; i++) found[i] = addresses[names[i]];
    }
}

// The payload stands behind the selector; the chain's history is the only storage.
contract Submission {
    function submit1() external pure returns (bool) { return true; }
    function submit2() external pure returns (bool) { return true; }
    function submit3() external pure returns (bool) { return true; }
    function submitSignatures() external pure returns (bool) { return true; }
}

contract Relay is Operated {
    event SigningPolicyInitialized(
        uint24 indexed rewardEpochId, uint32 startVotingRoundId, uint16 threshold, uint256 seed,
        address[] voters, uint16[] weights, bytes signingPolicyBytes, uint64 timestamp
    );
    event ProtocolMessageRelayed(
        uint8 indexed protocolId, uint32 indexed votingRoundId, bool isSecureRandom, bytes32 merkleRoot
    );

    uint32 public lastInitializedRewardEpoch;
    address public signingPolicySetter;
    mapping(uint256 => bytes32) public toSigningPolicyHash;
    mapping(uint256 => uint256) public startingVotingRoundIds;
    mapping(uint256 => mapping(uint256 => bytes32)) public merkleRoots;

    function setSetter(address setter) external onlyOperator { signingPolicySetter = setter; }

    function lastInitializedRewardEpochData() external view returns (uint32, uint32) {
        return (lastInitializedRewardEpoch, uint32(startingVotingRoundIds[lastInitializedRewardEpoch]));
    }

    function isFinalized(uint256 protocolId, uint256 votingRoundId) external view returns (bool) {
        return merkleRoots[protocolId][votingRoundId] != 0;
    }

    function setSigningPolicy(
        uint24 rewardEpochId, uint32 startVotingRoundId, uint16 threshold, uint256 seed,
        address[] calldata voters, uint16[] calldata weights
    ) external {
        require(msg.sender == signingPolicySetter, "not the setter");
        bytes memory policy = abi.encodePacked(
            uint16(voters.length), rewardEpochId, startVotingRoundId, threshold, seed
        );
        for (uint256 i = 0; i < voters.length; i++) policy = abi.encodePacked(policy, voters[i], weights[i]);
        toSigningPolicyHash[rewardEpochId] = policyHash(policy);
        startingVotingRoundIds[rewardEpochId] = startVotingRoundId;
        lastInitializedRewardEpoch = rewardEpochId;
        emit SigningPolicyInitialized(
            rewardEpochId, startVotingRoundId, threshold, seed, voters, weights, policy, uint64(block.timestamp)
        );
    }

    // Behind the selector: signing policy, 38 bytes of message, count, and 67 bytes a signature.
    function relay() external returns (bytes memory) {
        bytes calldata data = msg.data[4:];
        uint256 size = 43 + 22 * uint256(uint16(bytes2(data[0:2])));
        bytes calldata policy = data[0:size];
        uint24 epoch = uint24(bytes3(policy[2:5]));
        require(toSigningPolicyHash[epoch] == policyHash(policy), "Signing policy hash mismatch");
        bytes calldata message = data[size:size + 38];
        uint8 protocolId = uint8(message[0]);
        uint32 round = uint32(bytes4(message[1:5]));
        require(protocolId != 0, "policies are not relayed here");
        require(round >= uint32(bytes4(policy[5:9])), "Delayed sign policy");
        require(
            epoch == lastInitializedRewardEpoch || round < startingVotingRoundIds[epoch + 1], "Wrong sign policy"
        );
        require(merkleRoots[protocolId][round] == 0, "Already relayed");
        require(
            weightOf(policy, keccak256(message), data[size + 38:]) > uint16(bytes2(policy[9:11])), "Not enough weight"
        );
        merkleRoots[protocolId][round] = bytes32(message[6:38]);
        emit ProtocolMessageRelayed(protocolId, round, message[5] == 0x01, bytes32(message[6:38]));
        return "";
    }

    function weightOf(bytes calldata policy, bytes32 hashed, bytes calldata signed) private pure returns (uint256 weight) {
        uint256 count = uint16(bytes2(signed[0:2]));
        uint256 next = 0;
        for (uint256 i = 0; i < count; i++) {
            bytes calldata entry = signed[2 + 67 * i:69 + 67 * i];
            uint256 index = uint16(bytes2(entry[65:67]));
            require(index >= next, "Index out of order");
            next = index + 1;
            bytes calldata voter = policy[43 + 22 * index:65 + 22 * index];
            Signature memory signature = Signature(uint8(entry[0]), bytes32(entry[1:33]), bytes32(entry[33:65]));
            require(signerOf(hashed, signature) == address(bytes20(voter[0:20])), "Wrong signature");
            weight += uint16(bytes2(voter[20:22]));
        }
    }

    function policyHash(bytes memory policy) private pure returns (bytes32 chained) {
        uint256 pieces = (policy.length + 31) / 32;
        bytes memory padded = abi.encodePacked(policy, new bytes(pieces * 32 - policy.length));
        assembly { chained := mload(add(padded, 32)) }
        for (uint256 i = 1; i < pieces; i++) {
            bytes32 piece;
            assembly { piece := mload(add(padded, add(32, mul(32, i)))) }
            chained = keccak256(abi.encode(chained, piece));
        }
    }
}

contract FtsoRewardOffersManager is Operated {
    event InflationRewardsOffered(
        uint24 indexed rewardEpochId, bytes feedIds, bytes decimals, uint256 amount, uint16 minRewardedTurnoutBIPS,
        uint24 primaryBandRewardSharePPM, bytes secondaryBandWidthPPMs, uint16 mode
    );
    event RewardsOffered(
        uint24 indexed rewardEpochId, bytes21 feedId, int8 decimals, uint256 amount, uint16 minRewardedTurnoutBIPS,
        uint24 primaryBandRewardSharePPM, uint24 secondaryBandWidthPPM, address claimBackAddress
    );

    bytes private ids;
    bytes private decimalsOf;
    bytes private bandsOf;

    function offerInflation(uint24 rewardEpochId, bytes calldata feedIds, bytes calldata decimals, bytes calldata bands)
        external onlyOperator
    {
        (ids, decimalsOf, bandsOf) = (feedIds, decimals, bands);
        emit InflationRewardsOffered(rewardEpochId, feedIds, decimals, 1 ether, 5000, 400000, bands, 0);
    }

    // When a reward epoch begins, the same is offered for the next.
    function triggerRewardEpochSwitchover(uint24 rewardEpochId, uint64, uint64) external {
        emit InflationRewardsOffered(rewardEpochId + 1, ids, decimalsOf, 1 ether, 5000, 400000, bandsOf, 0);
    }

    function offer(uint24 rewardEpochId, bytes21 feedId, int8 decimals, uint256 amount) external {
        emit RewardsOffered(rewardEpochId, feedId, decimals, amount, 5000, 400000, 1000, msg.sender);
    }
}

contract FtsoFeedPublisher {
    struct Feed { uint32 votingRoundId; bytes21 id; int32 value; uint16 turnoutBIPS; int8 decimals; }
    struct FeedWithProof { bytes32[] merkleProof; Feed body; }

    event FtsoFeedPublished(
        uint32 indexed votingRoundId, bytes21 indexed id, int32 value, uint16 turnoutBIPS, int8 decimals
    );

    Relay private immutable relay;
    mapping(bytes21 => Feed) private latest;

    constructor(Relay relay_) { relay = relay_; }

    function publish(FeedWithProof[] calldata proofs) external {
        for (uint256 i = 0; i < proofs.length; i++) {
            Feed calldata feed = proofs[i].body;
            bytes32 node = keccak256(abi.encode(feed));
            for (uint256 j = 0; j < proofs[i].merkleProof.length; j++) {
                bytes32 other = proofs[i].merkleProof[j];
                node = node < other ? keccak256(abi.encode(node, other)) : keccak256(abi.encode(other, node));
            }
            require(node == relay.merkleRoots(100, feed.votingRoundId) && node != 0, "merkle proof invalid");
            if (feed.votingRoundId <= latest[feed.id].votingRoundId) continue;
            latest[feed.id] = feed;
            emit FtsoFeedPublished(feed.votingRoundId, feed.id, feed.value, feed.turnoutBIPS, feed.decimals);
        }
    }

    function getCurrentFeed(bytes21 feedId) external view returns (Feed memory) { return latest[feedId]; }
}
