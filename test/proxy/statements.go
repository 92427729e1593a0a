package proxy

import (
	"maps"
	"math/bits"
	"regexp"
	"strings"
)

// LoseAnswers loses the answers to the next n statements that contain the words, and closes their connections.
func (p *Proxy) LoseAnswers(words string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose[words] = n
}

// Silence drops the next statement that contains the words and everything after it on its connection, as with a frozen
// server.
func (p *Proxy) Silence(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silence = words
}

// silences tells whether this statement begins the silence.
func (p *Proxy) silences(statement string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silence == "" || !strings.Contains(statement, p.silence) {
		return false
	}
	p.silence = ""
	return true
}

// literal matches the literals in a text.
var literal = regexp.MustCompile(`'[^']*'`)

// LoseOfEveryKind loses answers to every text from now on, whatever its literals: to its first, fourth, sixteenth statement and
// so on.
func (p *Proxy) LoseOfEveryKind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kinds = map[string]int{}
}

// Kinds returns how often each text, without its literals, was sent since LoseOfEveryKind.
func (p *Proxy) Kinds() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.kinds)
}

// Outstanding returns how many answers remain to be lost, and how many were lost.
func (p *Proxy) Outstanding() (left, lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.lose {
		left += n
	}
	return left, p.lost
}

// Sent returns how many statements that contain the words were sent.
func (p *Proxy) Sent(words string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for text, times := range p.sent {
		if strings.Contains(text, words) {
			n += times
		}
	}
	return n
}

// Texts returns how often each text was sent, BEGIN and COMMIT included.
func (p *Proxy) Texts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.sent)
}

// takes tells whether the answer to this statement is lost, and counts it.
func (p *Proxy) takes(statement string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[statement]++
	for words, n := range p.lose {
		if n > 0 && strings.Contains(statement, words) {
			p.lose[words]--
			p.lost++
			return true
		}
	}
	if p.kinds == nil || statement == "" {
		return false
	}
	kind := literal.ReplaceAllString(statement, "''")
	p.kinds[kind]++
	if n := p.kinds[kind]; bits.OnesCount(uint(n)) != 1 || bits.TrailingZeros(uint(n))%2 != 0 {
		return false
	}
	p.lost++
	return true
}
