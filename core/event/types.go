package event

// Known reports whether t is a type that an event can have.
func (t Type) Known() bool { return t.traits().known }

// OnWire reports whether callers may send t, and lists show it without include=engine.
func (t Type) OnWire() bool { return t.traits().backend }

// FromClients reports whether clients may send t.
func (t Type) FromClients() bool { return t.traits().frontend }

// OfAccount reports whether t tells of the account. Such events are for subscribers: no decision reads them, and no list of
// passkey events shows them.
func (t Type) OfAccount() bool { return t.traits().account }

// AnswersLogin reports whether Join looks for a login offer.
func (t Type) AnswersLogin() bool { return t.traits().answers == LoginOffered }

// AnswersAppend reports whether Join looks for an append offer.
func (t Type) AnswersAppend() bool { return t.traits().answers == AppendOffered }
