package proxy

import (
	"encoding/binary"
	"strings"
)

// Types of the server's messages.
const (
	errorResponse = 'E'
	readyForQuery = 'Z'
)

// AnswerWithError lets the next n statements that contain the words run and answers with an error of this SQLSTATE, as a
// server with an unknown result of a commit does.
func (p *Proxy) AnswerWithError(words, code string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.replace = append(p.replace, replacement{words, code})
	}
}

type replacement struct{ words, code string }

// replaces returns the code with which this statement is answered, and counts it; "" for its own answer.
func (p *Proxy) replaces(statement string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.replace {
		if strings.Contains(statement, r.words) {
			p.replace = append(p.replace[:i:i], p.replace[i+1:]...)
			return r.code
		}
	}
	return ""
}

// replaced buffers the answer to a statement until it is complete, and returns an error in its place.
func (c *connection) replaced(part []byte) []byte {
	c.kept = append(c.kept, part...)
	for rest := c.kept; len(rest) >= 5; {
		length := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		if length > len(rest) {
			break
		}
		if rest[0] == readyForQuery {
			answer := append(failure(c.code), rest...)
			c.code, c.kept = "", nil
			return answer
		}
		rest = rest[length:]
	}
	return nil
}

func failure(code string) []byte {
	var content []byte
	for field, text := range map[byte]string{'S': "ERROR", 'V': "ERROR", 'C': code, 'M': "said by the test's proxy"} {
		content = append(append(append(content, field), text...), 0)
	}
	content = append(content, 0)
	return append(binary.BigEndian.AppendUint32([]byte{errorResponse}, uint32(4+len(content))), content...)
}
