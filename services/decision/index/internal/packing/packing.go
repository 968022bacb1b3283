// Package packing writes numbers and texts in as few bytes as they need, and reads them. It promises that a reader never goes beyond
// what it was given. It is pure.
package packing

import "encoding/binary"

// AppendText appends a text of any length.
func AppendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// Reader reads what was written, piece by piece. The zero value is at the end.
type Reader struct {
	Left []byte
	Bad  bool // it was not written so
}

// Number reads a number; 0 if there is none.
func (c *Reader) Number() uint64 {
	n, size := binary.Uvarint(c.Left)
	if size <= 0 {
		c.Bad, c.Left = true, nil
		return 0
	}
	c.Left = c.Left[size:]
	return n
}

// Bytes reads so many bytes; nil if there are fewer.
func (c *Reader) Bytes(n uint64) []byte {
	if uint64(len(c.Left)) < n {
		c.Bad, c.Left = true, nil
		return nil
	}
	taken := c.Left[:n]
	c.Left = c.Left[n:]
	return taken
}

// Text reads what AppendText has written.
func (c *Reader) Text() string { return string(c.Bytes(c.Number())) }
