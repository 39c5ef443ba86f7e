//! Empty: everything is in `tests/`, where clients and maths of other people are held against this
//! project's exchange simulator and its trade maths.
