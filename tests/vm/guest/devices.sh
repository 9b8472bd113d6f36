#!/bin/sh
# Gives the machine what a Raspberry Pi has: cards, a chip labelled as its header, a webcam. Runs at each boot; safe to run
# again. Links to the wires of the chip, by the number of the line, are below /run/wires.
set -eu
config=/sys/kernel/config/gpio-sim/pi
if [ ! -e $config ]; then
  mkdir -p $config/bank0
  echo 54 > $config/bank0/num_lines
  echo pinctrl-bcm2711 > $config/bank0/label
fi
if [ "$(cat $config/live)" != 1 ]; then echo 1 > $config/live; fi
chip=/sys/devices/platform/$(cat $config/dev_name)/$(cat $config/bank0/chip_name)
mkdir -p /run/wires
for line in 17 24 25; do ln -sfn "$chip/sim_gpio$line" /run/wires/$line; done
echo pull-up > /run/wires/17/pull
[ -e /dev/video20 ] || modprobe v4l2loopback
udevadm settle
