package ceremony_test

import "testing"

// BenchmarkLoginStart is the hot path but for the decision and the offer: the account is read and the challenge is stored, both over embedded NATS.
func BenchmarkLoginStart(b *testing.B) {
	st := newStack(b)
	user, d := st.user(b), phone()
	for range 3 {
		st.enroll(b, user, phone())
	}
	st.enroll(b, user, d)
	req := st.loginStartReq(user, d)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.LoginStart(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
