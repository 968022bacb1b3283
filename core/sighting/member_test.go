package sighting

import (
	"errors"
	"testing"
)

func FuzzMembersAreReadAsTheyAreWritten(f *testing.F) {
	whole := Sighting{
		Ms: noon.UnixMilli(), Type: LoginRefused, TakenBack: true, Event: bits48, User: 1 << 40, Environment: 7, Network: 8, Credential: 9,
		Key: marks - 1,
	}.Member()
	f.Add(string(whole[:]))
	f.Add("")
	f.Add(string(make([]byte, MemberSize)))
	f.Fuzz(func(t *testing.T, member string) {
		s, err := Parse(member)
		if err != nil {
			if !errors.Is(err, ErrMember) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if again := s.Member(); string(again[:]) != member {
			t.Errorf("%x is written as %x", member, again)
		}
	})
}

func TestTypesKeepTheirNumbersAndFamilies(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		number Type
		family Family
	}{
		"login-completed": {1, Good}, "append-completed": {2, Good}, "auth-success": {3, Good}, "login-refused": {17, Bad},
		"login-unknown": {18, Bad}, "auth-failure": {19, Bad}, "code-wrong": {20, Bad}, "step-up-failed": {21, Bad}, "fraud-confirmed": {22, Bad},
	} {
		got, known := TypeNamed(name)
		if !known || got != want.number || got.Family() != want.family || got.String() != name {
			t.Errorf("%s is %d %s of family %d", name, got, got, got.Family())
		}
	}
	if len(TypeNames()) != 9 {
		t.Error("there are types that are not said here")
	}
}
