package eventstream

import "testing"

func TestAPositionIsOfOneProjectAndTellsNothing(t *testing.T) {
	t.Parallel()
	one, two := newPositions([]byte("one")), newPositions([]byte("two"))
	told := map[string]bool{}
	for _, position := range []uint64{0, 1, 2, 255, 256, 1 << 40, 1<<64 - 1} {
		text := string(one.append([]byte("id: "), position))[len("id: "):]
		if read, plain, ok := one.parse(text); read != position || plain || !ok || len(text) != positionLength {
			t.Errorf("%d is told as %s and read as %d, plain %t, %t", position, text, read, plain, ok)
		}
		if _, _, ok := two.parse(text); ok {
			t.Errorf("another project takes %s", text)
		}
		if told[text] {
			t.Errorf("%s is told twice", text)
		}
		told[text] = true
	}
}

func TestAPositionOfAnEarlierVersionIsTaken(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0": true, "42": true, "18446744073709551615": true, "18446744073709551616": false, "": false, "-1": false, "x": false,
		"!!!!!!!!!!!!!!!!!!!!!!": false,
	} {
		if _, plain, ok := newPositions(nil).parse(text); ok != want || ok && !plain {
			t.Errorf("%q: taken %t, plain %t", text, ok, plain)
		}
	}
}
