"""The Flare Systems Protocol and FTSOv2 as pure functions and values, one module a topic.

Knows bytes, integers and times that are handed in. Opens nothing, reads no clock, draws no random number.
Sections are those of the flare-specs repository; where the specification and the deployed code disagree, the
code is the protocol and the docstring says so.

identities          the ids and addresses, as types
wire, hashing       reading and writing fields; keccak-256
epochs              networks, voting epochs, reward epochs
feed_order          which feed stands where in a vector of values
feed_values         a price as four bytes
commit, reveal      what is promised, and what is shown
payload             several protocols' messages in one transaction
submissions         which commits and reveals of a round count, and who broke a promise
randomness          the round's random number, and who is benched from it
median              the weighted median, its quartiles
merkle              trees, proofs
results             a round's values, random and root
protocol_message    the 38 bytes that everybody signs
signatures          who signed
signing_policy      who may sign, with which weight
finalizers          whose turn it is to finalize
finalization        the relay's calldata
claims              what a reward claim hashes to
reward_data         the published claims of a reward epoch
system_calls        what is signed and sent once a reward epoch
duties              which of that is due
timings             when a round's steps open and close
round               what is due in a round, and what is too late
"""
