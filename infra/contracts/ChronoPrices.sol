// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// One feed's price as Chrono signs it. Whole numbers with `decimals`; times are milliseconds since 1970.
struct Price {
    bytes21 feedId;
    int256 value;
    int8 decimals;
    int256 bandLow;
    int256 bandHigh;
    uint64 observedAtMs;
    uint64 sequence;
    uint16 venues;
}

/// The prices of one pass under one signature.
struct PriceVector {
    uint64 sequence;
    uint64 atMs;
    Price[] prices;
}

/// Verifies prices that Chrono's API tells with `?signed=true`. Knows no state: whom to trust and how old a
/// price may be are the caller's decisions. docs/signed-prices.md tells what is signed.
library ChronoPrices {
    error MalformedSignature();
    error WrongSigner(address found);
    error StalePrice(uint256 ageMs, uint256 limitMs);
    error FuturePrice(uint256 aheadMs);

    /// How far a price's time may be ahead of the block's: clocks differ, and a block's time lags.
    uint256 internal constant FUTURE_MS_MAX = 30_000;

    bytes32 internal constant DOMAIN_TYPE = keccak256("EIP712Domain(string name,string version,uint256 chainId)");
    bytes32 internal constant PRICE_TYPE = keccak256(
        "Price(bytes21 feedId,int256 value,int8 decimals,int256 bandLow,int256 bandHigh,"
        "uint64 observedAtMs,uint64 sequence,uint16 venues)"
    );
    bytes32 internal constant VECTOR_TYPE = keccak256(
        "PriceVector(uint64 sequence,uint64 atMs,Price[] prices)"
        "Price(bytes21 feedId,int256 value,int8 decimals,int256 bandLow,int256 bandHigh,"
        "uint64 observedAtMs,uint64 sequence,uint16 venues)"
    );
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// Reverts unless `signer` signed the price for this chain and it is at most `ageSMax` old.
    function verify(Price memory price, bytes memory signature, address signer, uint256 ageSMax) internal view {
        checkSigner(hashOf(price), signature, signer);
        checkFresh(price.observedAtMs, ageSMax);
    }

    /// The same for many prices under one signature. Each price has an age of its own besides: see `checkFresh`.
    function verify(PriceVector memory vector, bytes memory signature, address signer, uint256 ageSMax)
        internal
        view
    {
        checkSigner(hashOf(vector), signature, signer);
        checkFresh(vector.atMs, ageSMax);
    }

    /// Reverts if a time is too long ago, or too far ahead of this block's.
    function checkFresh(uint64 atMs, uint256 ageSMax) internal view {
        uint256 nowMs = block.timestamp * 1000;
        if (atMs > nowMs + FUTURE_MS_MAX) revert FuturePrice(atMs - nowMs);
        if (nowMs > atMs && nowMs - atMs > ageSMax * 1000) revert StalePrice(nowMs - atMs, ageSMax * 1000);
    }

    /// Reverts unless the signature over the struct's hash is the signer's.
    function checkSigner(bytes32 structHash, bytes memory signature, address signer) internal view {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
        address found = recover(digest, signature);
        if (found == address(0) || found != signer) revert WrongSigner(found);
    }

    /// For this chain, asked anew each time: after a fork the other chain has another id.
    function domainSeparator() internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256("Chrono Prices"), keccak256("1"), block.chainid));
    }

    function hashOf(Price memory price) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                PRICE_TYPE,
                price.feedId,
                price.value,
                price.decimals,
                price.bandLow,
                price.bandHigh,
                price.observedAtMs,
                price.sequence,
                price.venues
            )
        );
    }

    function hashOf(PriceVector memory vector) internal pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](vector.prices.length);
        for (uint256 i = 0; i < hashes.length; i++) hashes[i] = hashOf(vector.prices[i]);
        return keccak256(abi.encode(VECTOR_TYPE, vector.sequence, vector.atMs, keccak256(abi.encodePacked(hashes))));
    }

    /// Who signed; the zero address if nobody did. Refuses a signature's other half, so that each is unique.
    function recover(bytes32 digest, bytes memory signature) internal pure returns (address) {
        if (signature.length != 65) revert MalformedSignature();
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        if (uint256(s) > HALF_ORDER || (v != 27 && v != 28)) revert MalformedSignature();
        return ecrecover(digest, v, r, s);
    }
}

/// An example of a contract that reads Chrono: keeps the newest verified price of each feed, whoever brings it.
contract PriceBoard {
    address public immutable signer;
    uint256 public immutable ageSMax;
    mapping(bytes21 => Price) private newest;

    error OlderThanKnown(bytes21 feedId);
    error Unknown(bytes21 feedId);

    event PriceTaken(bytes21 indexed feedId, int256 value, int8 decimals, uint64 observedAtMs);

    constructor(address signer_, uint256 ageSMax_) {
        signer = signer_;
        ageSMax = ageSMax_;
    }

    /// Take one price, newer than the one that is known.
    function take(Price calldata price, bytes calldata signature) external {
        ChronoPrices.verify(price, signature, signer, ageSMax);
        if (!_keep(price)) revert OlderThanKnown(price.feedId);
    }

    /// Take all prices of a pass that are newer than known ones and not too old themselves.
    function takeAll(PriceVector calldata vector, bytes calldata signature) external {
        ChronoPrices.verify(vector, signature, signer, ageSMax);
        for (uint256 i = 0; i < vector.prices.length; i++) {
            Price calldata price = vector.prices[i];
            if (uint256(price.observedAtMs) + ageSMax * 1000 >= block.timestamp * 1000) _keep(price);
        }
    }

    /// The newest price; reverts if none is known or it has grown too old.
    function latest(bytes21 feedId) external view returns (Price memory price) {
        price = newest[feedId];
        if (price.observedAtMs == 0) revert Unknown(feedId);
        ChronoPrices.checkFresh(price.observedAtMs, ageSMax);
    }

    function _keep(Price calldata price) private returns (bool) {
        if (price.observedAtMs <= newest[price.feedId].observedAtMs) return false;
        newest[price.feedId] = price;
        emit PriceTaken(price.feedId, price.value, price.decimals, price.observedAtMs);
        return true;
    }
}
