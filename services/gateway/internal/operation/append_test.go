package operation

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
)

func TestPropertyWhatIsAnsweredMostIsWrittenAsTheLibraryWritesIt(t *testing.T) {
	t.Parallel()
	t.Run("login start", func(t *testing.T) { t.Parallel(); asReflected[rest.PasskeyLoginStartRsp](t) })
	t.Run("login finish", func(t *testing.T) { t.Parallel(); asReflected[rest.PasskeyLoginFinishRsp](t) })
	t.Run("append start", func(t *testing.T) { t.Parallel(); asReflected[rest.PasskeyAppendStartRsp](t) })
	t.Run("append finish", func(t *testing.T) { t.Parallel(); asReflected[rest.PasskeyAppendFinishRsp](t) })
}

func asReflected[T any](t *testing.T) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Make[T]().Draw(t, "answer")
		text := rapid.SampledFrom([]string{"", "plain", "<a href=\"x\">&</a>", "\\ \x00 \n \u2028 \x7f é", "no UTF-8: \xff"}).Draw(t, "text")
		switch told := any(&value).(type) {
		case *rest.PasskeyLoginStartRsp:
			told.AssertionOptions = text
		case *rest.PasskeyAppendStartRsp:
			told.AttestationOptions = text
		}
		want, err := reflected(&value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Encode(&value)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%v\ngot  %s\nwant %s", err, got, want)
		}
	})
}

// BenchmarkEncode writes the answer to a login start, as it is written and as the library would.
func BenchmarkEncode(b *testing.B) {
	answer := &rest.PasskeyLoginStartRsp{AssertionOptions: `{"publicKey":{"challenge":"` + strings.Repeat("a", 170) + `","timeout":300000}}`}
	for range 12 {
		answer.DetectionTags = append(answer.DetectionTags, rest.DetectionTag{Category: "client", Name: "a-tag-of-usual-length"})
	}
	answer.DetectionInsights.Tags = answer.DetectionTags
	for name, write := range map[string]func(any) ([]byte, error){"appended": Encode, "reflected": reflected} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := write(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
