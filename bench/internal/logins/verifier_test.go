package logins

import "testing"

func TestWhatIsMeasuredAloneIsAVerification(t *testing.T) {
	t.Parallel()
	v, err := newVerifier()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as often as is asked
		if err := v.verify(); err != nil {
			t.Errorf("a right answer: %v", err)
		}
	}
	other, err := newVerifier()
	if err != nil {
		t.Fatal(err)
	}
	v.answer = other.answer
	if err := v.verify(); err == nil {
		t.Error("another passkey's answer to another challenge passes")
	}
}
