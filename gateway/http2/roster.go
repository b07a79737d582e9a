package http2

// roster are the streams of a connection that are open, or half closed, by their ids. A client opens them in ascending order (RFC 9113 §5.1.1)
// and few at a time, so a sorted list finds them faster than a map does.
type roster struct {
	list []entry
	gone int // places without a stream
}

// entry is the place of a stream, which is nil once it has gone.
type entry struct {
	id     uint32
	stream *Stream
}

func (r *roster) len() int { return len(r.list) - r.gone }

// add takes in a stream with a higher id than any before.
func (r *roster) add(s *Stream) {
	if r.gone > len(r.list)/2 {
		r.tidy()
	}
	r.list = append(r.list, entry{s.id, s})
}

func (r *roster) tidy() {
	kept := r.list[:0]
	for _, p := range r.list {
		if p.stream != nil {
			kept = append(kept, p)
		}
	}
	clear(r.list[len(kept):])
	r.list, r.gone = kept, 0
}

// find returns the stream with an id, or nil.
func (r *roster) find(id uint32) *Stream {
	if at := r.search(id); at < len(r.list) && r.list[at].id == id {
		return r.list[at].stream
	}
	return nil
}

// remove takes out s, if it is there, and reports whether it was. Others keep their places, so that it may be called while all goes on.
func (r *roster) remove(s *Stream) bool {
	at := r.search(s.id)
	if at == len(r.list) || r.list[at].stream != s {
		return false
	}
	r.list[at].stream = nil
	r.gone++
	for n := len(r.list) - 1; n >= 0 && r.list[n].stream == nil; n-- {
		r.list = r.list[:n]
		r.gone--
	}
	return true
}

// search returns where an id is, or would be.
func (r *roster) search(id uint32) int {
	low, high := 0, len(r.list)
	for low < high {
		if middle := (low + high) / 2; r.list[middle].id < id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// all are the streams, in the order of their ids.
func (r *roster) all(yield func(*Stream) bool) {
	for _, p := range r.list {
		if p.stream != nil && !yield(p.stream) {
			return
		}
	}
}
