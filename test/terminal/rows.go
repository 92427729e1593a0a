package terminal

import (
	"regexp"
	"strings"
)

// step is a control sequence, a line end, or a character.
var step = regexp.MustCompile(`\x1b\[[?0-9;]*[A-Za-z]|(?s:.)`)

// Rows returns what is on the screen now, one text a row, and above it what was scrolled away. It knows the control sequences of
// programs that write lines: home, and the erasing of what is below, of all, and of what was scrolled away.
func (s *Screen) Rows() (visible, scrolled []string) { return replay(s.Text(), s.rows) }

func replay(text string, rows int) (visible, scrolled []string) {
	visible = make([]string, rows)
	row, column := 0, 0
	down := func() {
		if row++; row == rows {
			scrolled = append(scrolled, visible[0])
			visible = append(visible[1:], "")
			row--
		}
	}
	for _, one := range step.FindAllString(text, -1) {
		switch one {
		case "\r":
			column = 0
		case "\n":
			down()
		case "\x1b[H":
			row, column = 0, 0
		case "\x1b[J":
			visible[row] = first(visible[row], column)
			clear(visible[row+1:])
		case "\x1b[2J":
			clear(visible)
		case "\x1b[3J":
			scrolled = nil
		default:
			if strings.HasPrefix(one, "\x1b[") {
				continue // a colour
			}
			if column == Columns {
				down()
				column = 0
			}
			visible[row] = first(visible[row], column) + one
			column++
		}
	}
	return visible, scrolled
}

// first returns so many characters of a row.
func first(row string, n int) string {
	runes := []rune(row)
	for len(runes) < n {
		runes = append(runes, ' ')
	}
	return string(runes[:n])
}
