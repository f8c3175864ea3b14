// Package stage is the SFU: participants of a stage publish over WHIP and subscribe to each other.
package stage
