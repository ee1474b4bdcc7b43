// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

// Reward epochs of a local chain: entities, registration, votes, claims, and the daemon that turns epochs over.
// A voter's weight is what the operator gives it; nothing expires.

import { FtsoRewardOffersManager, Operated, Relay, Signature, signerOf } from "contracts.sol";

struct PublicKey { bytes32 part1; bytes32 part2; }

contract EntityManager is Operated {
    struct VoterAddresses { address submitAddress; address submitSignaturesAddress; address signingPolicyAddress; }

    mapping(address => VoterAddresses) private addresses;
    mapping(address => address) private delegation;
    mapping(address => address) private voters;

    function setVoter(address voter, VoterAddresses calldata own, address delegationAddress) external onlyOperator {
        addresses[voter] = own;
        delegation[voter] = delegationAddress;
        voters[own.signingPolicyAddress] = voter;
    }

    function getVoterAddresses(address voter) external view returns (VoterAddresses memory) { return addresses[voter]; }

    function getDelegationAddressOf(address voter) external view returns (address) {
        return delegation[voter] == address(0) ? voter : delegation[voter];
    }

    function getVoterForSigningPolicyAddress(address signer, uint256) external view returns (address) {
        return voters[signer] == address(0) ? signer : voters[signer];
    }
}

contract FlareSystemsCalculator is Operated {
    event VoterRegistrationInfo(
        address indexed voter, uint32 indexed rewardEpochId, address delegationAddress, uint16 delegationFeeBIPS,
        uint256 wNatWeight, uint256 wNatCappedWeight, bytes20[] nodeIds, uint256[] nodeWeights
    );

    EntityManager private immutable entities;
    mapping(address => uint256) private weights;

    constructor(EntityManager entities_) { entities = entities_; }

    function setWeight(address voter, uint256 weight) external onlyOperator { weights[voter] = weight; }

    function calculateRegistrationWeight(address voter, uint32 rewardEpochId, uint256) external returns (uint256 weight) {
        weight = weights[voter];
        emit VoterRegistrationInfo(
            voter, rewardEpochId, entities.getDelegationAddressOf(voter), 2000, weight, weight,
            new bytes20[](0), new uint256[](0)
        );
    }
}

contract VoterRegistry is Operated {
    struct Registered { address[] voters; mapping(address => uint256) weights; uint256 sum; }

    event VoterRegistered(
        address indexed voter, uint32 indexed rewardEpochId, address indexed signingPolicyAddress,
        address submitAddress, address submitSignaturesAddress, PublicKey publicKey,
        uint256 registrationWeight, Signature signature
    );

    EntityManager private immutable entities;
    FlareSystemsCalculator private immutable calculator;
    FlareSystemsManager private manager;
    mapping(uint256 => Registered) private register;

    constructor(EntityManager entities_, FlareSystemsCalculator calculator_) {
        (entities, calculator) = (entities_, calculator_);
    }

    function setManager(FlareSystemsManager manager_) external onlyOperator { manager = manager_; }

    function isVoterRegistered(address voter, uint256 rewardEpochId) external view returns (bool) {
        return register[rewardEpochId].weights[voter] > 0;
    }

    function getRegisteredVoters(uint256 rewardEpochId) external view returns (address[] memory) {
        return register[rewardEpochId].voters;
    }

    function registerVoter(address voter, Signature calldata signature) external {
        uint32 rewardEpochId = manager.getCurrentRewardEpochId() + 1;
        EntityManager.VoterAddresses memory own = entities.getVoterAddresses(voter);
        require(own.signingPolicyAddress != address(0), "signing policy address not set");
        bytes32 hashed = keccak256(abi.encode(block.chainid, rewardEpochId, voter));
        require(signerOf(hashed, signature) == own.signingPolicyAddress, "invalid signature");
        (uint256 votePowerBlock, bool enabled) = manager.getVoterRegistrationData(rewardEpochId);
        require(enabled, "voter registration not enabled");
        Registered storage registered = register[rewardEpochId];
        require(registered.weights[voter] == 0, "already registered");
        uint256 weight = calculator.calculateRegistrationWeight(voter, rewardEpochId, votePowerBlock);
        require(weight > 0, "voter weight zero");
        registered.voters.push(voter);
        registered.weights[voter] = weight;
        registered.sum += weight;
        emit VoterRegistered(
            voter, rewardEpochId, own.signingPolicyAddress, own.submitAddress, own.submitSignaturesAddress,
            PublicKey(0, 0), weight, signature
        );
    }

    // The signing policy's signers and normalised weights, in the order of registration.
    function createSigningPolicySnapshot(uint256 rewardEpochId)
        external view returns (address[] memory signers, uint16[] memory weights, uint256 sum)
    {
        Registered storage registered = register[rewardEpochId];
        signers = new address[](registered.voters.length);
        weights = new uint16[](registered.voters.length);
        for (uint256 i = 0; i < signers.length; i++) {
            address voter = registered.voters[i];
            signers[i] = entities.getVoterAddresses(voter).signingPolicyAddress;
            weights[i] = uint16(registered.weights[voter] * 65535 / registered.sum);
            sum += weights[i];
        }
    }

    function getVoterWithNormalisedWeight(uint256 rewardEpochId, address signer)
        external view returns (address voter, uint16 weight)
    {
        Registered storage registered = register[rewardEpochId];
        voter = entities.getVoterForSigningPolicyAddress(signer, block.number);
        require(voter != signer, "invalid signing policy address");
        require(registered.weights[voter] > 0, "voter not registered");
        weight = uint16(registered.weights[voter] * 65535 / registered.sum);
    }
}

contract VoterPreRegistry {
    struct PreRegistered { address voter; Signature signature; }

    event VoterPreRegistered(address indexed voter, uint32 indexed rewardEpochId);
    event VoterRegistrationFailed(address indexed voter, uint32 indexed rewardEpochId);

    EntityManager private immutable entities;
    VoterRegistry private immutable registry;
    FlareSystemsManager private immutable manager;
    mapping(uint256 => PreRegistered[]) private list;
    mapping(uint256 => mapping(address => bool)) private known;

    constructor(EntityManager entities_, VoterRegistry registry_, FlareSystemsManager manager_) {
        (entities, registry, manager) = (entities_, registry_, manager_);
    }

    function isVoterPreRegistered(uint256 rewardEpochId, address voter) external view returns (bool) {
        return known[rewardEpochId][voter];
    }

    function preRegisterVoter(address voter, Signature calldata signature) external {
        uint24 rewardEpochId = manager.getCurrentRewardEpochId() + 1;
        (uint256 votePowerBlock,) = manager.getVoterRegistrationData(rewardEpochId);
        require(votePowerBlock == 0, "pre-registration not opened anymore");
        require(registry.isVoterRegistered(voter, rewardEpochId - 1), "voter currently not registered");
        address signer = signerOf(keccak256(abi.encode(block.chainid, rewardEpochId, voter)), signature);
        require(entities.getVoterForSigningPolicyAddress(signer, block.number) == voter, "invalid signature");
        require(!known[rewardEpochId][voter], "voter already pre-registered");
        known[rewardEpochId][voter] = true;
        list[rewardEpochId].push(PreRegistered(voter, signature));
        emit VoterPreRegistered(voter, rewardEpochId);
    }

    function triggerVoterRegistration(uint24 rewardEpochId) external {
        require(msg.sender == address(manager), "only flare systems manager");
        PreRegistered[] storage all = list[rewardEpochId];
        for (uint256 i = 0; i < all.length; i++) {
            try registry.registerVoter(all[i].voter, all[i].signature) { }
            catch { emit VoterRegistrationFailed(all[i].voter, rewardEpochId); }
        }
    }
}

contract FlareSystemsManager is Operated {
    struct NumberOfWeightBasedClaims { uint256 rewardManagerId; uint256 noOfWeightBasedClaims; }
    // In seconds, but `rounds`: those of a reward epoch. A reward epoch 0 begins with voting round 0.
    struct Timing {
        uint64 firstRoundAt; uint64 votingEpoch; uint64 rounds; uint64 preparation; uint64 registration; uint64 uptime;
    }
    struct State {
        uint64 acquisitionStartTs; uint64 votePowerBlock; uint64 registrationStartTs; uint64 signingStartTs;
        uint64 signingEndTs; uint32 startVotingRoundId; uint16 threshold; uint64 startTs; uint64 uptimeStartTs;
    }

    event RandomAcquisitionStarted(uint24 indexed rewardEpochId, uint64 timestamp);
    event VotePowerBlockSelected(uint24 indexed rewardEpochId, uint64 votePowerBlock, uint64 timestamp);
    event SigningPolicySigned(
        uint24 indexed rewardEpochId, address indexed signingPolicyAddress, address indexed voter,
        uint64 timestamp, bool thresholdReached
    );
    event RewardEpochStarted(uint24 indexed rewardEpochId, uint32 startVotingRoundId, uint64 timestamp);
    event SignUptimeVoteEnabled(uint24 indexed rewardEpochId, uint64 timestamp);
    event UptimeVoteSigned(
        uint24 indexed rewardEpochId, address indexed signingPolicyAddress, address indexed voter,
        bytes32 uptimeVoteHash, uint64 timestamp, bool thresholdReached
    );
    event RewardsSigned(
        uint24 indexed rewardEpochId, address indexed signingPolicyAddress, address indexed voter,
        bytes32 rewardsHash, NumberOfWeightBasedClaims[] noOfWeightBasedClaims, uint64 timestamp, bool thresholdReached
    );

    Relay private immutable relay;
    VoterRegistry private immutable registry;
    FtsoRewardOffersManager private immutable offers;
    VoterPreRegistry private preRegistry;
    Timing private timing;
    uint24 private current;
    mapping(uint256 => State) private states;
    mapping(bytes32 => mapping(address => bool)) private voted;
    mapping(bytes32 => uint256) private weightOf;
    mapping(uint256 => bytes32) public uptimeVoteHash;
    mapping(uint256 => bytes32) public rewardsHash;
    mapping(uint256 => mapping(uint256 => uint256)) public noOfWeightBasedClaims;

    constructor(Relay relay_, VoterRegistry registry_, FtsoRewardOffersManager offers_) {
        (relay, registry, offers) = (relay_, registry_, offers_);
    }

    function setPreRegistry(VoterPreRegistry preRegistry_) external onlyOperator { preRegistry = preRegistry_; }

    function setTiming(Timing calldata timing_) external onlyOperator { timing = timing_; }

    function getCurrentRewardEpochId() external view returns (uint24) { return current; }

    function isVoterRegistrationEnabled() external view returns (bool) { return isOpen(states[current + 1]); }

    function getVoterRegistrationData(uint256 rewardEpochId) external view returns (uint256, bool) {
        return (states[rewardEpochId].votePowerBlock, isOpen(states[rewardEpochId]));
    }

    function isOpen(State storage state) private view returns (bool) {
        return state.votePowerBlock != 0 && state.signingStartTs == 0;
    }

    // For an operator who turns epochs over by hand: offers end, and registration begins.
    function prepare(uint24 rewardEpochId) external onlyOperator {
        current = rewardEpochId - 1;
        acquire(rewardEpochId);
        openRegistration(rewardEpochId);
    }

    // And registration ends.
    function initialize(uint24 rewardEpochId, uint32 startVotingRoundId, uint256 seed) external onlyOperator {
        makePolicy(rewardEpochId, startVotingRoundId, seed);
    }

    // One step of what is due; to be called every block, by anybody.
    function daemonize() external returns (bool) {
        if (timing.rounds == 0) return false;
        uint24 next = current + 1;
        State storage state = states[next];
        uint256 endsAt = timing.firstRoundAt + next * timing.rounds * timing.votingEpoch;
        if (block.timestamp + timing.preparation >= endsAt) {
            if (state.acquisitionStartTs == 0) acquire(next);
            else if (state.votePowerBlock == 0) openRegistration(next);
            else if (isOpen(state) && block.timestamp > state.registrationStartTs + timing.registration) {
                if (registry.getRegisteredVoters(next).length > 0) {
                    makePolicy(next, uint32(next * timing.rounds), uint256(keccak256(abi.encode("seed", next))));
                }
            }
        }
        if (block.timestamp >= endsAt && state.signingStartTs != 0) begin(next);
        if (current > 0) enableUptimeVote(current - 1);
        return true;
    }

    function acquire(uint24 rewardEpochId) private {
        states[rewardEpochId].acquisitionStartTs = uint64(block.timestamp);
        emit RandomAcquisitionStarted(rewardEpochId, uint64(block.timestamp));
    }

    function openRegistration(uint24 rewardEpochId) private {
        State storage state = states[rewardEpochId];
        (state.votePowerBlock, state.registrationStartTs) = (uint64(block.number - 1), uint64(block.timestamp));
        emit VotePowerBlockSelected(rewardEpochId, state.votePowerBlock, uint64(block.timestamp));
        if (address(preRegistry) != address(0)) preRegistry.triggerVoterRegistration(rewardEpochId);
    }

    function makePolicy(uint24 rewardEpochId, uint32 startVotingRoundId, uint256 seed) private {
        State storage state = states[rewardEpochId];
        (address[] memory signers, uint16[] memory weights, uint256 sum) =
            registry.createSigningPolicySnapshot(rewardEpochId);
        state.signingStartTs = uint64(block.timestamp);
        state.startVotingRoundId = startVotingRoundId;
        state.threshold = uint16((sum + 1) / 2);
        relay.setSigningPolicy(rewardEpochId, startVotingRoundId, state.threshold, seed, signers, weights);
    }

    function begin(uint24 rewardEpochId) private {
        State storage state = states[rewardEpochId];
        current = rewardEpochId;
        state.startTs = uint64(block.timestamp);
        emit RewardEpochStarted(rewardEpochId, state.startVotingRoundId, uint64(block.timestamp));
        uint64 seconds_ = timing.rounds * timing.votingEpoch;
        offers.triggerRewardEpochSwitchover(rewardEpochId, uint64(block.timestamp) + seconds_, seconds_);
    }

    function enableUptimeVote(uint24 rewardEpochId) private {
        State storage state = states[rewardEpochId];
        uint64 over = states[rewardEpochId + 1].startTs;
        if (state.startTs == 0 || state.uptimeStartTs != 0 || block.timestamp <= over + timing.uptime) return;
        state.uptimeStartTs = uint64(block.timestamp);
        emit SignUptimeVoteEnabled(rewardEpochId, uint64(block.timestamp));
    }

    function signNewSigningPolicy(uint24 rewardEpochId, bytes32 policyHash, Signature calldata signature) external {
        require(
            policyHash != 0 && relay.toSigningPolicyHash(rewardEpochId) == policyHash, "new signing policy hash invalid"
        );
        State storage state = states[rewardEpochId];
        require(state.signingEndTs == 0, "new signing policy already signed");
        (address signer, address voter, bool reached) = vote("policy", rewardEpochId - 1, policyHash, signature);
        if (reached) state.signingEndTs = uint64(block.timestamp);
        emit SigningPolicySigned(rewardEpochId, signer, voter, uint64(block.timestamp), reached);
    }

    function signUptimeVote(uint24 rewardEpochId, bytes32 uptimeHash, Signature calldata signature) external {
        require(uptimeHash != 0, "uptime vote hash zero");
        require(states[rewardEpochId].uptimeStartTs != 0, "sign uptime vote not started yet");
        require(uptimeVoteHash[rewardEpochId] == 0, "uptime vote hash already signed");
        bytes32 hashed = keccak256(abi.encode(rewardEpochId, uptimeHash));
        (address signer, address voter, bool reached) = vote("uptime", rewardEpochId, hashed, signature);
        if (reached) uptimeVoteHash[rewardEpochId] = uptimeHash;
        emit UptimeVoteSigned(rewardEpochId, signer, voter, uptimeHash, uint64(block.timestamp), reached);
    }

    function signRewards(
        uint24 rewardEpochId, NumberOfWeightBasedClaims[] calldata counts, bytes32 rewards, Signature calldata signature
    ) external {
        require(rewards != 0, "rewards hash zero");
        require(states[rewardEpochId + 1].signingEndTs != 0, "signing policy not signed yet");
        require(uptimeVoteHash[rewardEpochId] != 0, "uptime vote hash not signed yet");
        require(rewardsHash[rewardEpochId] == 0, "rewards hash already signed");
        bytes32 hashed = keccak256(abi.encode(rewardEpochId, keccak256(abi.encode(counts)), rewards));
        (address signer, address voter, bool reached) = vote("rewards", rewardEpochId, hashed, signature);
        if (reached) {
            rewardsHash[rewardEpochId] = rewards;
            for (uint256 i = 0; i < counts.length; i++) {
                noOfWeightBasedClaims[rewardEpochId][counts[i].rewardManagerId] = counts[i].noOfWeightBasedClaims;
            }
        }
        emit RewardsSigned(rewardEpochId, signer, voter, rewards, counts, uint64(block.timestamp), reached);
    }

    // Counts a signature by the weights of the reward epoch `by`.
    function vote(string memory question, uint24 by, bytes32 hashed, Signature calldata signature)
        private returns (address signer, address voter, bool reached)
    {
        signer = signerOf(hashed, signature);
        uint16 weight;
        (voter, weight) = registry.getVoterWithNormalisedWeight(by, signer);
        bytes32 key = keccak256(abi.encode(question, by, hashed));
        require(!voted[key][voter], "voter already signed");
        voted[key][voter] = true;
        weightOf[key] += weight;
        reached = weightOf[key] > states[by].threshold;
    }
}

contract RewardManager is Operated {
    enum ClaimType { DIRECT, FEE, WNAT, MIRROR, CCHAIN }
    struct RewardClaim { uint24 rewardEpochId; bytes20 beneficiary; uint120 amount; ClaimType claimType; }
    struct RewardClaimWithProof { bytes32[] merkleProof; RewardClaim body; }

    event RewardClaimed(
        address indexed beneficiary, address indexed rewardOwner, address indexed recipient,
        uint24 rewardEpochId, ClaimType claimType, uint120 amount
    );

    FlareSystemsManager private immutable manager;
    EntityManager private immutable entities;
    mapping(bytes32 => bool) private processed;
    mapping(uint256 => mapping(address => uint120)) private unclaimed;
    mapping(uint256 => mapping(address => bool)) private initialised;
    mapping(uint256 => uint256) public noOfInitialisedWeightBasedClaims;

    constructor(FlareSystemsManager manager_, EntityManager entities_) { (manager, entities) = (manager_, entities_); }

    receive() external payable { }

    function rewardManagerId() external view returns (uint256) { return block.chainid; }

    function getRewardEpochIdsWithClaimableRewards() external view returns (uint24 first, uint24 last) {
        uint24 id = manager.getCurrentRewardEpochId();
        for (uint256 back = 0; back < 25 && id > 0; back++) {
            if (manager.rewardsHash(--id) == 0) continue;
            if (last == 0) last = id;
            first = id;
        }
        require(last != 0, "no epoch with claimable rewards");
    }

    function initialiseWeightBasedClaims(RewardClaimWithProof[] calldata proofs) external {
        for (uint256 i = 0; i < proofs.length; i++) {
            if (proofs[i].body.claimType > ClaimType.FEE) initialise(proofs[i]);
        }
    }

    function claim(
        address owner, address payable recipient, uint24 rewardEpochId, bool, RewardClaimWithProof[] calldata proofs
    ) external returns (uint256 amount) {
        require(msg.sender == owner, "only owner or executor");
        require(recipient != address(0), "address zero");
        require(rewardEpochId < manager.getCurrentRewardEpochId(), "not claimable");
        for (uint256 i = 0; i < proofs.length; i++) {
            if (proofs[i].body.claimType > ClaimType.FEE) initialise(proofs[i]);
            else amount += claimOwn(owner, recipient, proofs[i]);
        }
        amount += claimDelegated(owner, recipient, rewardEpochId);
        (bool sent,) = recipient.call{value: amount}("");
        require(sent, "transfer failed");
    }

    function claimOwn(address owner, address recipient, RewardClaimWithProof calldata proof) private returns (uint120) {
        RewardClaim calldata body = proof.body;
        require(address(body.beneficiary) == owner, "wrong beneficiary");
        bytes32 hashed = keccak256(abi.encode(body));
        if (processed[hashed]) return 0;
        check(proof, hashed);
        processed[hashed] = true;
        emit RewardClaimed(owner, owner, recipient, body.rewardEpochId, body.claimType, body.amount);
        return body.amount;
    }

    // All that is delegated to a voter's delegation address is the voter's own here.
    function claimDelegated(address owner, address recipient, uint24 rewardEpochId) private returns (uint120 amount) {
        address delegate = entities.getDelegationAddressOf(owner);
        uint256 count = manager.noOfWeightBasedClaims(rewardEpochId, block.chainid);
        bool all = noOfInitialisedWeightBasedClaims[rewardEpochId] >= count;
        require(all || initialised[rewardEpochId][delegate], "not initialised");
        amount = unclaimed[rewardEpochId][delegate];
        if (amount == 0) return 0;
        unclaimed[rewardEpochId][delegate] = 0;
        emit RewardClaimed(delegate, owner, recipient, rewardEpochId, ClaimType.WNAT, amount);
    }

    function initialise(RewardClaimWithProof calldata proof) private {
        RewardClaim calldata body = proof.body;
        bytes32 hashed = keccak256(abi.encode(body));
        if (processed[hashed]) return;
        check(proof, hashed);
        processed[hashed] = true;
        initialised[body.rewardEpochId][address(body.beneficiary)] = true;
        unclaimed[body.rewardEpochId][address(body.beneficiary)] += body.amount;
        noOfInitialisedWeightBasedClaims[body.rewardEpochId] += 1;
    }

    function check(RewardClaimWithProof calldata proof, bytes32 node) private view {
        bytes32 root = manager.rewardsHash(proof.body.rewardEpochId);
        require(root != 0, "rewards hash zero");
        for (uint256 i = 0; i < proof.merkleProof.length; i++) {
            bytes32 other = proof.merkleProof[i];
            node = node < other ? keccak256(abi.encode(node, other)) : keccak256(abi.encode(other, node));
        }
        require(node == root, "merkle proof invalid");
    }
}
