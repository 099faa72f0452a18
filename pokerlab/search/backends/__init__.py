"""The loops and tensor operations of CFR."""
