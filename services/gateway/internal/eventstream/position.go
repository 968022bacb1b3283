package eventstream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// positions are the places of events in the stream, as one project is told of them. The stream is that of all projects: a plain number
// would tell each how much the others do. The zero value is of those who may know, and has plain numbers.
type positions struct{ block cipher.Block }

// positionLength is that of a position in text: one block, base64url without padding.
const positionLength = 22

func newPositions(salt []byte) positions {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte("positions in the stream of events"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // a sum has the length of a key
	}
	return positions{block}
}

// append writes a position behind a text.
func (p positions) append(text []byte, position uint64) []byte {
	if p.block == nil {
		return strconv.AppendUint(text, position, 10)
	}
	var block [aes.BlockSize]byte // the second half says that it is one of the project's
	binary.BigEndian.PutUint64(block[:], position)
	p.block.Encrypt(block[:], block[:])
	return base64.RawURLEncoding.AppendEncode(text, block[:])
}

// parse reads a position. Plain ones were told by earlier versions.
func (p positions) parse(text string) (position uint64, plain, ok bool) {
	if len(text) != positionLength {
		position, err := strconv.ParseUint(text, 10, 64)
		return position, true, err == nil
	}
	block, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, false, false
	}
	p.block.Decrypt(block, block)
	return binary.BigEndian.Uint64(block), false, binary.BigEndian.Uint64(block[8:]) == 0
}
