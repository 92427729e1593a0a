package proxy

import (
	"maps"
	"math/bits"
	"regexp"
	"strings"
)

// LoseAnswers has the answers to the next n statements with these words lost, and their connections broken.
func (p *Proxy) LoseAnswers(words string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose[words] = n
}

// Silence has nothing answered from the next statement with these words on, on its connection, as by a server that is frozen. The
// statement does not arrive.
func (p *Proxy) Silence(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silence = words
}

// silences tells whether this statement is the one that Silence waits for.
func (p *Proxy) silences(statement string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silence == "" || !strings.Contains(statement, p.silence) {
		return false
	}
	p.silence = ""
	return true
}

// literal is what tells texts of one kind apart.
var literal = regexp.MustCompile(`'[^']*'`)

// LoseOfEveryKind has answers lost to every text that is sent from now on, whatever its literals: to its first, fourth, sixteenth
// statement and so on.
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

// Outstanding returns how many answers are still to be lost, and how many were.
func (p *Proxy) Outstanding() (left, lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.lose {
		left += n
	}
	return left, p.lost
}

// Sent returns how many statements with these words were sent.
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

// takes tells whether the answer to this statement is to be lost, and counts it.
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
